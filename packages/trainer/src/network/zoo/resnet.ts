// Residual networks (arXiv 1512.03385) in the CIFAR form: a 3x3 stem without pooling, 1x1 projections where a block
// changes the shape, global average pool, linear. Ids are torchvision's, so that tensor names match its state dicts.
import type { Builder, ZooContext } from './builder.js';

interface Block {
  readonly prefix: string;
  readonly width: number;
  readonly stride: number;
  /** Output channels over `width`: 1 in a basic block, 4 in a bottleneck. */
  readonly expansion: number;
}

function convBn(net: Builder, conv: string, bn: string, filters: number, kernel: number, stride = 1): string {
  net.conv(conv, filters, kernel, { stride });
  return net.push(bn, 'batch-norm');
}

/** Two 3x3 convolutions. */
function basicBranch(net: Builder, { prefix, width, stride }: Block): string {
  convBn(net, `${prefix}.conv1`, `${prefix}.bn1`, width, 3, stride);
  net.push(`${prefix}.relu1`, 'relu');
  return convBn(net, `${prefix}.conv2`, `${prefix}.bn2`, width, 3);
}

/** 1x1 down, 3x3 (with the stride), 1x1 up. */
function bottleneckBranch(net: Builder, { prefix, width, stride, expansion }: Block): string {
  convBn(net, `${prefix}.conv1`, `${prefix}.bn1`, width, 1);
  net.push(`${prefix}.relu1`, 'relu');
  convBn(net, `${prefix}.conv2`, `${prefix}.bn2`, width, 3, stride);
  net.push(`${prefix}.relu2`, 'relu');
  return convBn(net, `${prefix}.conv3`, `${prefix}.bn3`, width * expansion, 1);
}

/** A network of 3x3-stem, stages of `blocks` blocks at widths 64, 128, 256, 512, and a classifier. */
function resnet(blocks: readonly number[], expansion: 1 | 4): (context: ZooContext) => void {
  return ({ net, input, scale }) => {
    let channels = scale(64);
    convBn(net, 'conv1', 'bn1', channels, 3);
    net.push('relu', 'relu');
    blocks.forEach((count, stage) => {
      const width = scale(64 * 2 ** stage);
      for (let i = 0; i < count; i++) {
        const prefix = `layer${stage + 1}.${i}`;
        const stride = stage > 0 && i === 0 ? 2 : 1;
        const entry = net.last;
        const branch = (expansion === 1 ? basicBranch : bottleneckBranch)(net, { prefix, width, stride, expansion });
        let shortcut = entry;
        if (stride !== 1 || channels !== width * expansion) {
          net.last = entry;
          shortcut = convBn(net, `${prefix}.downsample.0`, `${prefix}.downsample.1`, width * expansion, 1, stride);
        }
        channels = width * expansion;
        net.push(`${prefix}.add`, 'add', {}, [branch, shortcut]);
        net.push(`${prefix}.relu`, 'relu');
      }
    });
    net.push('avgpool', 'global-average-pool');
    net.push('fc', 'linear', { features: input.classes });
  };
}

export const resnet18 = resnet([2, 2, 2, 2], 1);
export const resnet34 = resnet([3, 4, 6, 3], 1);
export const resnet50 = resnet([3, 4, 6, 3], 4);
