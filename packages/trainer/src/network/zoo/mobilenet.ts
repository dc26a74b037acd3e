// MobileNetV2 (arXiv 1801.04381) for small images: the stem and the second stage keep the image's size, so that 32x32 becomes 4x4
// and not 1x1. Ids are torchvision's, so that tensor names match its state dicts; a stride has no parameters.
import type { Builder, ZooContext } from './builder.js';

/** Expansion factor, output channels, blocks, stride of the first block (table 2 of the paper). */
const stages = [
  [1, 16, 1, 1],
  [6, 24, 2, 1],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/** Convolution without bias, batch-norm and ReLU6 as `prefix`.0, .1 and .2. */
function convBnRelu(net: Builder, prefix: string, filters: number, kernel: number, stride = 1, groups = 1): void {
  net.conv(`${prefix}.0`, filters, kernel, { stride, groups });
  net.push(`${prefix}.1`, 'batch-norm');
  net.push(`${prefix}.2`, 'relu6');
}

/** Expansion 1x1 (none where the factor is 1), depthwise 3x3, projection 1x1; a shortcut where the shape stays. */
function invertedResidual(net: Builder, prefix: string, channels: number, expansion: number, filters: number, stride: number): void {
  const entry = net.last;
  const hidden = channels * expansion;
  let part = 0;
  if (expansion !== 1) convBnRelu(net, `${prefix}.conv.${part++}`, hidden, 1);
  convBnRelu(net, `${prefix}.conv.${part++}`, hidden, 3, stride, hidden);
  net.conv(`${prefix}.conv.${part++}`, filters, 1);
  const branch = net.push(`${prefix}.conv.${part}`, 'batch-norm');
  if (stride === 1 && channels === filters) net.push(`${prefix}.add`, 'add', {}, [branch, entry]);
}

/** 2,236,682 parameters at 10 classes. */
export function mobilenetv2({ net, input, scale }: ZooContext): void {
  let channels = scale(32);
  let index = 0;
  convBnRelu(net, `features.${index++}`, channels, 3);
  for (const [expansion, width, blocks, firstStride] of stages) {
    for (let block = 0; block < blocks; block++) {
      const filters = scale(width);
      invertedResidual(net, `features.${index++}`, channels, expansion, filters, block === 0 ? firstStride : 1);
      channels = filters;
    }
  }
  convBnRelu(net, `features.${index}`, scale(1280), 1);
  net.push('avgpool', 'global-average-pool');
  net.push('classifier.1', 'linear', { features: input.classes });
}
