// What a data set is once it is in memory: bytes, labels, statistics and a fingerprint; and how a bad one is reported.
import { createHash } from 'node:crypto';

/** Images and labels of one split; record i of one belongs to record i of the other. */
export interface Split {
  readonly count: number;
  /** [count, channels, height, width], one byte a value, 0..255. */
  readonly images: Uint8Array;
  /** [count], each in 0..classes-1. */
  readonly labels: Uint8Array;
}

export interface Dataset {
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  readonly classNames?: readonly string[];
  readonly train: Split;
  readonly test: Split;
  /** Per channel: mean of the training split's pixels scaled to 0..1. */
  readonly mean: readonly number[];
  /** Per channel: population standard deviation of the same; 1 for a channel that never changes, so that one can divide by it. */
  readonly std: readonly number[];
  /** SHA-256 (hex) of the decoded content with its shape: equal for the same data from other files, gzip or not. */
  readonly fingerprint: string;
}

/** A data file or folder that is missing or not what it should be. Exit code 3. */
export class DataError extends Error {
  override readonly name = 'DataError';
  constructor(
    /** The file or folder at fault. */
    readonly path: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${message}`, options);
  }
}

/** A data set as its files give it, before statistics. */
export interface DecodedDataset {
  /** Layout it was decoded from; part of the fingerprint. */
  readonly decoding: 'idx' | 'cifar10' | 'cifar100' | 'svhn' | 'npz' | 'images';
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  /** As the files or their layout have them. */
  readonly classNames?: readonly string[];
  readonly train: Split;
  readonly test: Split;
}

/** Throws for the first label outside 0..classes-1; `what` is what the labels are called. */
export function checkLabels(path: string, labels: Uint8Array, classes: number, what = 'label'): void {
  const at = labels.findIndex((label) => label >= classes);
  if (at >= 0) {
    throw new DataError(path, `record ${at} has ${what} ${labels[at]}; with ${classes} classes labels are 0..${classes - 1}`);
  }
}

/** Adds name, statistics and fingerprint. */
export function describeDataset(decoded: DecodedDataset, name: string, classNames = decoded.classNames): Dataset {
  const { channels, height, width, classes, train, test } = decoded;
  const { mean, std } = channelStatistics(train, channels, height * width);
  return {
    name,
    channels,
    height,
    width,
    classes,
    ...(classNames?.length === classes ? { classNames } : {}),
    train,
    test,
    mean,
    std,
    fingerprint: fingerprint(decoded),
  };
}

/**
 * Mean and population standard deviation per channel, of pixels scaled to 0..1. Counting each byte value first makes the
 * sums short (256 terms in ascending order, float64) and exact up to their last few bits, whatever the number of pixels.
 * `planeSize` is height x width.
 */
export function channelStatistics(split: Split, channels: number, planeSize: number): { mean: number[]; std: number[] } {
  const mean: number[] = [];
  const std: number[] = [];
  const pixels = split.count * planeSize;
  for (let channel = 0; channel < channels; channel++) {
    const histogram = channelHistogram(split, channel, channels, planeSize);
    let sum = 0;
    for (let value = 0; value < 256; value++) sum += (histogram[value] ?? 0) * value;
    const center = sum / pixels / 255;
    let squares = 0;
    for (let value = 0; value < 256; value++) squares += (histogram[value] ?? 0) * (value / 255 - center) ** 2;
    // A constant channel leaves nothing but the rounding of its mean.
    const constant = histogram.some((count) => count === pixels);
    mean.push(center);
    std.push(constant ? 1 : Math.sqrt(squares / pixels));
  }
  return { mean, std };
}

function channelHistogram(split: Split, channel: number, channels: number, planeSize: number): Float64Array {
  const histogram = new Float64Array(256);
  const { images } = split;
  const imageSize = channels * planeSize;
  for (let image = 0; image < split.count; image++) {
    const begin = image * imageSize + channel * planeSize;
    for (let i = begin; i < begin + planeSize; i++) {
      const value = images[i] ?? 0;
      histogram[value] = (histogram[value] ?? 0) + 1;
    }
  }
  return histogram;
}

function fingerprint(decoded: DecodedDataset): string {
  const { decoding, channels, height, width, classes, train, test } = decoded;
  const hash = createHash('sha256');
  hash.update(JSON.stringify(['n2n-data/1', decoding, channels, height, width, classes, train.count, test.count]));
  for (const split of [train, test]) hash.update(split.images).update(split.labels);
  return hash.digest('hex');
}
