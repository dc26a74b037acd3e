// Image folders: train/CLASS/*.png and test/CLASS/*.png (test may be called val), or CLASS/*.png, of which a seeded part of each
// class is the test set. A TAR of the same is the same data set. Classes are numbered in the order of their names.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { keyedRandom } from '../random.js';
import { DataError, type DecodedDataset, type Split } from './dataset.js';
import { decodeImage, type ImageShape } from './image.js';
import { asDataError, isFolder, readWhole } from './read.js';

export interface ImageOptions extends ImageShape {
  /** Part of each class that is the test set where the images are not divided already, above 0 and below 1. */
  readonly testShare: number;
  readonly splitSeed: number;
}

/** 32 x 32 RGB, a fifth for the test set. */
export const IMAGE_DEFAULTS: ImageOptions = { channels: 3, height: 32, width: 32, testShare: 0.2, splitSeed: 1 };

/** An image that has not been read yet. */
export interface ImageEntry {
  /** Inside the data set, with "/" between the names. */
  readonly path: string;
  /** For errors. */
  readonly place: string;
  read(): Promise<Uint8Array>;
}

export interface ImageListing {
  /** The folder or archive. */
  readonly path: string;
  readonly entries: readonly ImageEntry[];
  /** Every folder inside, empty ones too. */
  readonly folders: readonly string[];
}

const MAX_CLASSES = 256;
const MAX_IMAGES = 2 ** 22;
const MAX_DEPTH = 6;
/** Largest decoded data set: 2 GiB. */
const MAX_DECODED_BYTES = 2 ** 31;
const OTHER_IMAGE = /\.(gif|webp|bmp|tiff?|avif|heic|jp2|ppm|pgm)$/i;

/** Whether a file called so is an image that is read; other kinds of images are refused rather than passed over. */
export function isImageName(path: string): boolean {
  if (OTHER_IMAGE.test(path)) throw new DataError(path, 'is an image of a kind that is not read; PNG and JPEG are');
  return /\.(png|jpe?g)$/i.test(path);
}

/** Everything below `folder`, names that begin with a dot left out. */
export async function listImages(folder: string): Promise<ImageListing> {
  const entries: ImageEntry[] = [];
  const folders: string[] = [];
  const walk = async (inner: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH) throw new DataError(join(folder, inner), `lies more than ${MAX_DEPTH} folders deep`);
    let found;
    try {
      found = await readdir(join(folder, inner), { withFileTypes: true });
    } catch (error) {
      throw asDataError(join(folder, inner), error);
    }
    for (const entry of found) {
      if (entry.name.startsWith('.')) continue;
      const path = inner === '' ? entry.name : `${inner}/${entry.name}`;
      const place = join(folder, path);
      if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(place)))) {
        folders.push(path);
        await walk(path, depth + 1);
      } else if (isImageName(place)) {
        if (entries.length === MAX_IMAGES) throw new DataError(folder, `holds more than ${MAX_IMAGES} images; that many are read`);
        entries.push({ path, place, read: () => readWhole(place) });
      }
    }
  };
  await walk('', 0);
  return { path: folder, entries, folders };
}

/** Decodes a listing. */
export async function readImages(listing: ImageListing, options: ImageOptions): Promise<DecodedDataset> {
  const { classNames, train, test } = arrange(listing, options);
  const { channels, height, width } = options;
  const sizeBytes = (train.length + test.length) * channels * height * width;
  if (sizeBytes > MAX_DECODED_BYTES) {
    const count = train.length + test.length;
    throw new DataError(
      listing.path,
      `${count} images of ${channels} x ${height} x ${width} need ${sizeBytes} bytes; at most ${MAX_DECODED_BYTES} (2 GiB) are held: give smaller images`,
    );
  }
  return {
    decoding: 'images',
    channels,
    height,
    width,
    classes: classNames.length,
    classNames,
    train: await decodeAll(train, options),
    test: await decodeAll(test, options),
  };
}

interface Labelled {
  readonly entry: ImageEntry;
  readonly label: number;
}

async function decodeAll(images: readonly Labelled[], options: ImageOptions): Promise<Split> {
  const imageSize = options.channels * options.height * options.width;
  const pixels = new Uint8Array(images.length * imageSize);
  for (const [i, { entry }] of images.entries()) pixels.set(decodeImage(entry.place, await entry.read(), options), i * imageSize);
  return { count: images.length, images: pixels, labels: Uint8Array.from(images, ({ label }) => label) };
}

interface Arrangement {
  readonly classNames: readonly string[];
  readonly train: readonly Labelled[];
  readonly test: readonly Labelled[];
}

function arrange(listing: ImageListing, options: ImageOptions): Arrangement {
  const { path, folders } = listing;
  if (!folders.includes('train')) {
    const classNames = classesIn(listing, '');
    return { classNames, ...divide(listing, '', classNames, options) };
  }
  const classNames = classesIn(listing, 'train/');
  const test = ['test', 'val'].find((name) => folders.includes(name));
  if (test === undefined) return { classNames, ...divide(listing, 'train/', classNames, options) };
  const foreign = classesIn(listing, `${test}/`).find((name) => !classNames.includes(name));
  if (foreign !== undefined) throw new DataError(join(path, test, foreign), 'is a class that train has not; both need the same classes');
  const all = (prefix: string): Labelled[] =>
    classNames.flatMap((name, label) => imagesOf(listing, `${prefix}${name}`).map((entry) => ({ entry, label })));
  return { classNames, train: all('train/'), test: all(`${test}/`) };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Names of the folders directly below `prefix`. */
function classesIn({ path, folders, entries }: ImageListing, prefix: string): string[] {
  const loose = entries.find((entry) => entry.path.startsWith(prefix) && !entry.path.slice(prefix.length).includes('/'));
  if (loose !== undefined) throw new DataError(loose.place, "lies in no class's folder; each image needs one");
  const inside = folders.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const classNames = inside.filter((name) => !name.includes('/')).sort(compare);
  if (classNames.length === 0) throw new DataError(join(path, prefix), 'holds no folders; each class needs one with its images');
  if (classNames.length > MAX_CLASSES) {
    throw new DataError(join(path, prefix), `holds ${classNames.length} folders; at most ${MAX_CLASSES} classes are possible`);
  }
  return classNames;
}

/** The images of a class, in the order of their paths; at least one. */
function imagesOf({ path, entries }: ImageListing, folder: string): ImageEntry[] {
  const images = entries.filter((entry) => entry.path.startsWith(`${folder}/`)).sort((a, b) => compare(a.path, b.path));
  if (images.length === 0)
    throw new DataError(join(path, folder), 'is an empty class: it holds no PNG or JPEG file; each class needs at least one');
  return images;
}

/** Takes `testShare` of each class, at least one image, for the test set. Depends on the seed, the class and the names only. */
function divide(
  listing: ImageListing,
  prefix: string,
  classNames: readonly string[],
  options: ImageOptions,
): Omit<Arrangement, 'classNames'> {
  const train: Labelled[] = [];
  const test: Labelled[] = [];
  for (const [label, name] of classNames.entries()) {
    const images = imagesOf(listing, `${prefix}${name}`);
    if (images.length < 2) {
      throw new DataError(join(listing.path, prefix, name), 'holds one image; a class needs two, one of them for the test set');
    }
    const held = Math.min(images.length - 1, Math.max(1, Math.round(images.length * options.testShare)));
    const order = keyedRandom(options.splitSeed, `image-split/${name}`).permutation(images.length);
    const isTest = new Set(order.subarray(0, held));
    for (const [i, entry] of images.entries()) (isTest.has(i) ? test : train).push({ entry, label });
  }
  return { train, test };
}
