// SqueezeNet 1.1 (arXiv 1602.07360) for small images: the stem keeps the image's size, so that 32x32 becomes 4x4. Ids are
// torchvision's. Its last ReLU is left out: logits may be negative, and one that never is above 0 would never learn.
import type { Builder, ZooContext } from './builder.js';

/** What stands at each position of torchvision's `features`: channels of a fire module (squeeze, each half of expand) or a pool. */
const features = ['pool', [16, 64], [16, 64], 'pool', [32, 128], [32, 128], 'pool', [48, 192], [48, 192], [64, 256], [64, 256]] as const;

function convRelu(net: Builder, id: string, filters: number, kernel: number, from: string): string {
  net.last = from;
  net.conv(id, filters, kernel, { bias: true });
  return net.push(`${id}_activation`, 'relu');
}

/** A 1x1 convolution to few channels, then 1x1 and 3x3 ones side by side. */
function fire(net: Builder, prefix: string, squeeze: number, expand: number): void {
  const squeezed = convRelu(net, `${prefix}.squeeze`, squeeze, 1, net.last);
  const one = convRelu(net, `${prefix}.expand1x1`, expand, 1, squeezed);
  const three = convRelu(net, `${prefix}.expand3x3`, expand, 3, squeezed);
  net.push(`${prefix}.concat`, 'concat', {}, [one, three]);
}

/** 727,626 parameters at 10 classes. */
export function squeezenet({ net, input, scale }: ZooContext): void {
  net.conv('features.0', scale(64), 3, { bias: true });
  net.push('features.1', 'relu');
  features.forEach((feature, i) => {
    const id = `features.${i + 2}`;
    // PyTorch's ceil_mode: a row and a column more at the end where the map's sides are even.
    if (feature === 'pool') net.push(id, 'max-pool', { kernel: 3, stride: 2, padding: [0, 0, 1, 1] });
    else fire(net, id, scale(feature[0]), scale(feature[1]));
  });
  net.push('classifier.0', 'dropout', { rate: 0.5 });
  net.conv('classifier.1', input.classes, 1, { bias: true });
  net.push('avgpool', 'global-average-pool');
}
