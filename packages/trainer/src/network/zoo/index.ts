// Architectures by name, for any input size and class count.
import { type NetworkSpec, SpecError } from '../spec.js';
import { suggestion } from '../suggest.js';
import { Builder, type ZooContext, type ZooInput } from './builder.js';
import { densenet } from './densenet.js';
import { mobilenetv2 } from './mobilenet.js';
import { resnet18, resnet20, resnet34, resnet50, resnet56 } from './resnet.js';
import { lenet5, mnistCnn, plain5, plain6, plain8 } from './small.js';
import { squeezenet } from './squeezenet.js';
import { vgg } from './vgg.js';

const zoo: ReadonlyMap<string, (context: ZooContext) => void> = new Map([
  ['lenet5', lenet5],
  ['mnist-cnn', mnistCnn],
  ['plain-5', plain5],
  ['plain-6', plain6],
  ['plain-8', plain8],
  ['vgg11', vgg(11)],
  ['vgg13', vgg(13)],
  ['vgg16', vgg(16)],
  ['vgg19', vgg(19)],
  ['resnet20', resnet20],
  ['resnet56', resnet56],
  ['resnet18', resnet18],
  ['resnet34', resnet34],
  ['resnet50', resnet50],
  ['mobilenetv2', mobilenetv2],
  ['densenet', densenet],
  ['squeezenet', squeezenet],
]);

export const zooNames: readonly string[] = [...zoo.keys()];

export interface ZooOptions extends ZooInput {
  /** Scales every hidden width, above 0 and at most 8; results are rounded to a multiple of 4, at least 4. 1 changes nothing. */
  readonly widthMultiplier?: number;
}

/**
 * The spec of a zoo network. `resnet18@0.25` is resnet18 at a quarter of its widths (as widthMultiplier 0.25, which must
 * not be given as well). Throws SpecError for an unknown name or an input that the architecture does not fit.
 */
export function zooSpec(name: string, options: ZooOptions): NetworkSpec {
  const [base = '', suffix, ...rest] = name.split('@');
  const build = zoo.get(base);
  if (build === undefined) {
    throw new SpecError(
      undefined,
      `unknown network "${name}"${suggestion(base, zooNames)}; needs one of ${zooNames.join(', ')}, with @0.25 for a quarter of the widths`,
    );
  }
  if (suffix !== undefined && options.widthMultiplier !== undefined) {
    throw new SpecError(undefined, `network "${name}": got a width multiplier twice, needs it in the name or as an option`);
  }
  const multiplier = suffix === undefined ? (options.widthMultiplier ?? 1) : suffix === '' ? NaN : Number(suffix);
  if (!(multiplier > 0 && multiplier <= 8) || rest.length > 0) {
    throw new SpecError(undefined, `network "${name}": got width multiplier ${suffix ?? multiplier}, needs a number above 0, at most 8`);
  }
  const scale = (width: number): number => (multiplier === 1 ? width : Math.max(4, 4 * Math.round((width * multiplier) / 4)));
  const net = new Builder();
  build({ net, input: options, scale });
  return built(name, options, () => net.build(multiplier === 1 ? base : `${base}@${multiplier}`, options));
}

/** What does not fit is the images: the architectures fit each other. */
function built(name: string, { channels, height, width, classes }: ZooOptions, build: () => NetworkSpec): NetworkSpec {
  try {
    return build();
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    const got = `images of ${channels}x${height}x${width} and ${classes} classes`;
    throw new SpecError(undefined, `network "${name}" cannot be built for ${got}: ${error.message}`);
  }
}
