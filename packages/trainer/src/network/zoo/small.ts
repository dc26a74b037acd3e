// Small networks: LeNet-5, the MNIST CNN of the benchmarks, and plain stacks for teachers that train quickly on a CPU.
import type { ZooContext } from './builder.js';

/**
 * LeNet-5 (LeCun et al. 1998) with ReLU and max-pooling: 61,706 parameters at 1x28x28 and 10 classes. Its first layer
 * pads maps smaller than the paper's 32x32 by 2.
 */
export function lenet5({ net, input, scale }: ZooContext): void {
  const padding = Math.min(input.height, input.width) < 32 ? 2 : 0;
  net.conv('conv1', scale(6), 5, { padding, bias: true });
  net.push('relu1', 'relu');
  net.push('pool1', 'max-pool', { kernel: 2 });
  net.conv('conv2', scale(16), 5, { padding: 0, bias: true });
  net.push('relu2', 'relu');
  net.push('pool2', 'max-pool', { kernel: 2 });
  net.push('flatten', 'flatten');
  net.push('fc1', 'linear', { features: scale(120) });
  net.push('relu3', 'relu');
  net.push('fc2', 'linear', { features: scale(84) });
  net.push('relu4', 'relu');
  net.push('fc3', 'linear', { features: input.classes });
}

/** conv3x3-BN-ReLU for each number, a 2x2 max-pool for each 'pool' that the map is large enough for; then pool and classify. */
function plain(...layers: readonly (number | 'pool')[]): (context: ZooContext) => void {
  return ({ net, input, scale }) => {
    let size = Math.min(input.height, input.width);
    let convolutions = 0;
    let pools = 0;
    for (const layer of layers) {
      if (layer !== 'pool') {
        const n = ++convolutions;
        net.conv(`conv${n}`, scale(layer), 3);
        net.push(`bn${n}`, 'batch-norm');
        net.push(`relu${n}`, 'relu');
      } else if (size > 1) {
        net.push(`pool${++pools}`, 'max-pool', { kernel: 2 });
        size = Math.floor(size / 2);
      }
    }
    net.push('avgpool', 'global-average-pool');
    net.push('fc', 'linear', { features: input.classes });
  };
}

/** The CNN of the benchmarks against peers: conv-BN-ReLU of 16, 32 and 64, pooled twice. */
export const mnistCnn = plain(16, 'pool', 32, 'pool', 64);

/** Five convolutions: 246,394 parameters and 3.9 million MACs at 1x28x28 and 10 classes. */
export const plain5 = plain(16, 'pool', 32, 'pool', 64, 'pool', 128, 128);

/** Six convolutions: 283,386 parameters and 5.7 million MACs at 1x28x28 and 10 classes. */
export const plain6 = plain(16, 'pool', 32, 'pool', 64, 64, 'pool', 128, 128);

/** Eight convolutions, in pairs between pools: 295,002 parameters and 9.3 million MACs at 1x28x28 and 10 classes. */
export const plain8 = plain(16, 16, 'pool', 32, 32, 'pool', 64, 64, 'pool', 128, 128);
