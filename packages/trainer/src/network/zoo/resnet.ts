// Residual networks (arXiv 1512.03385) in the CIFAR form: a 3x3 stem without pooling, global average pool, linear. Where a block
// changes the shape, the shortcut is a 1x1 projection (option B, ResNet-18, -34 and -50) or has no parameters: every second pixel,
// zeros for the new channels (option A, ResNet-20 and -56). Ids are torchvision's, so that tensor names match its state dicts.
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

interface Form {
  /** Blocks of each stage. */
  readonly blocks: readonly number[];
  /** Channels of the stem and of the first stage; each stage has twice those of the one before. */
  readonly width: number;
  readonly expansion: 1 | 4;
  readonly shortcut: 'projection' | 'identity';
}

/** What the add gets beside the branch. */
function shortcutOf(net: Builder, { prefix, width, stride, expansion }: Block, shortcut: Form['shortcut']): string {
  const filters = width * expansion;
  if (shortcut === 'projection') return convBn(net, `${prefix}.downsample.0`, `${prefix}.downsample.1`, filters, 1, stride);
  if (stride !== 1) net.push(`${prefix}.subsample`, 'average-pool', { kernel: 1, stride });
  return net.push(`${prefix}.pad`, 'pad-channels', { channels: filters });
}

/** A 3x3 stem, stages of blocks, and a classifier. */
function resnet(form: Form): (context: ZooContext) => void {
  const { expansion } = form;
  return ({ net, input, scale }) => {
    let channels = scale(form.width);
    convBn(net, 'conv1', 'bn1', channels, 3);
    net.push('relu', 'relu');
    form.blocks.forEach((count, stage) => {
      const width = scale(form.width * 2 ** stage);
      for (let i = 0; i < count; i++) {
        const stride = stage > 0 && i === 0 ? 2 : 1;
        const block: Block = { prefix: `layer${stage + 1}.${i}`, width, stride, expansion };
        const entry = net.last;
        const branch = (expansion === 1 ? basicBranch : bottleneckBranch)(net, block);
        net.last = entry;
        const changes = stride !== 1 || channels !== width * expansion;
        const shortcut = changes ? shortcutOf(net, block, form.shortcut) : entry;
        channels = width * expansion;
        net.push(`${block.prefix}.add`, 'add', {}, [branch, shortcut]);
        net.push(`${block.prefix}.relu`, 'relu');
      }
    });
    net.push('avgpool', 'global-average-pool');
    net.push('fc', 'linear', { features: input.classes });
  };
}

export const resnet18 = resnet({ blocks: [2, 2, 2, 2], width: 64, expansion: 1, shortcut: 'projection' });
export const resnet34 = resnet({ blocks: [3, 4, 6, 3], width: 64, expansion: 1, shortcut: 'projection' });
export const resnet50 = resnet({ blocks: [3, 4, 6, 3], width: 64, expansion: 4, shortcut: 'projection' });
/** 269,722 parameters at 10 classes. */
export const resnet20 = resnet({ blocks: [3, 3, 3], width: 16, expansion: 1, shortcut: 'identity' });
/** 853,018 parameters at 10 classes. */
export const resnet56 = resnet({ blocks: [9, 9, 9], width: 16, expansion: 1, shortcut: 'identity' });
