// VGG (arXiv 1409.1556) in the CIFAR form: 3x3 convolutions with bias and batch-norm, five max-pools, one linear layer.
// Ids are the positions in PyTorch's `features` sequence.
import type { ZooContext } from './builder.js';

const stages = {
  11: [[64], [128], [256, 256], [512, 512], [512, 512]],
  13: [
    [64, 64],
    [128, 128],
    [256, 256],
    [512, 512],
    [512, 512],
  ],
  16: [
    [64, 64],
    [128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [512, 512, 512],
  ],
  19: [
    [64, 64],
    [128, 128],
    [256, 256, 256, 256],
    [512, 512, 512, 512],
    [512, 512, 512, 512],
  ],
} as const;

/**
 * VGG of 11, 13, 16 or 19 weighted layers by the paper's count. A pool whose map is already one element high or wide is left
 * out (28x28 goes 28, 14, 7, 3, 1); maps that stay larger than 1x1 are averaged, so the linear layer has 512 inputs at any size.
 */
export function vgg(depth: keyof typeof stages): (context: ZooContext) => void {
  return ({ net, input, scale }) => {
    let size = Math.min(input.height, input.width);
    let position = 0;
    const id = (): string => `features.${position++}`;
    for (const stage of stages[depth]) {
      for (const width of stage) {
        net.conv(id(), scale(width), 3, { bias: true });
        net.push(id(), 'batch-norm');
        net.push(id(), 'relu');
      }
      if (size > 1) {
        net.push(id(), 'max-pool', { kernel: 2 });
        size = Math.floor(size / 2);
      }
    }
    net.push('avgpool', 'global-average-pool');
    net.push('classifier', 'linear', { features: input.classes });
  };
}
