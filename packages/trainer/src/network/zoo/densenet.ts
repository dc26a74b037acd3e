// DenseNet-BC (arXiv 1608.06993) of 40 layers and growth 12 in the CIFAR form: three dense blocks of six bottlenecks, halved widths
// and maps between them. Every layer reads the outputs of all layers of its block before it. Ids are torchvision's where it has them.
import type { Builder, ZooContext } from './builder.js';

const BLOCKS = 3;
const LAYERS = 6;
const GROWTH = 12;
/** Widths of the 1x1 convolutions over the growth. */
const BOTTLENECK = 4;

/** BN-ReLU-1x1, BN-ReLU-3x3; its `growth` channels go behind those that it read. */
function denseLayer(net: Builder, prefix: string, growth: number): void {
  const entry = net.last;
  net.push(`${prefix}.norm1`, 'batch-norm');
  net.push(`${prefix}.relu1`, 'relu');
  net.conv(`${prefix}.conv1`, BOTTLENECK * growth, 1);
  net.push(`${prefix}.norm2`, 'batch-norm');
  net.push(`${prefix}.relu2`, 'relu');
  const own = net.conv(`${prefix}.conv2`, growth, 3);
  net.push(`${prefix}.concat`, 'concat', {}, [entry, own]);
}

/** 176,122 parameters at 10 classes. */
export function densenet({ net, input, scale }: ZooContext): void {
  const growth = scale(GROWTH);
  let channels = 2 * growth;
  net.conv('features.conv0', channels, 3);
  for (let block = 1; block <= BLOCKS; block++) {
    for (let layer = 1; layer <= LAYERS; layer++) denseLayer(net, `features.denseblock${block}.denselayer${layer}`, growth);
    channels += LAYERS * growth;
    if (block === BLOCKS) break;
    const prefix = `features.transition${block}`;
    channels = Math.floor(channels / 2);
    net.push(`${prefix}.norm`, 'batch-norm');
    net.push(`${prefix}.relu`, 'relu');
    net.conv(`${prefix}.conv`, channels, 1);
    net.push(`${prefix}.pool`, 'average-pool', { kernel: 2 });
  }
  net.push('features.norm', 'batch-norm');
  net.push('features.relu', 'relu');
  net.push('avgpool', 'global-average-pool');
  net.push('classifier', 'linear', { features: input.classes });
}
