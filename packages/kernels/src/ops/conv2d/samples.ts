// Shapes that conv2d is tested with: what networks use, odd counts, and corners. Small, as the references are slow.
import type { ErrorSample } from '../op.js';
import type { Conv2dShape } from './shape.js';

export const base: Conv2dShape = {
  batch: 2,
  height: 7,
  width: 7,
  channels: 8,
  filters: 8,
  kernel: [3, 3],
  stride: [1, 1],
  padding: [1, 1, 1, 1],
  groups: 1,
  bias: false,
};

/** First layers on grey images, one for each number of rows a register tile can have, and one of more filters than any subgroup has lanes. */
const oneChannel = (kernel: number, stride: number): Conv2dShape[] =>
  [6, 16, 32, 40].map((filters) => {
    const [before, after] = [Math.floor(kernel / 2), Math.floor((kernel - 1) / 2)];
    const window = { kernel: [kernel, kernel], stride: [stride, stride], padding: [before, before, after, after] } as const;
    return { ...base, ...window, batch: 1, channels: 1, filters, height: 6, width: 10, bias: filters === 6 };
  });

export const samples: readonly Conv2dShape[] = [
  base,
  { ...base, bias: true, filters: 12, channels: 16, height: 6, width: 9 },
  { ...base, batch: 3, channels: 1, filters: 16, height: 13, width: 13 },
  { ...base, channels: 3, filters: 10, kernel: [5, 5], padding: [2, 2, 2, 2], bias: true },
  { ...base, channels: 20, filters: 36, height: 5, width: 5 },
  { ...base, batch: 1, channels: 33, filters: 40, kernel: [1, 1], padding: [0, 0, 0, 0], bias: true },
  // Stride 2 as in ResNet: even and odd sizes, the 1x1 shortcut that skips pixels, uneven padding.
  { ...base, stride: [2, 2], height: 8, width: 8, filters: 16 },
  { ...base, stride: [2, 2], channels: 5, filters: 7, bias: true },
  { ...base, stride: [2, 2], kernel: [1, 1], padding: [0, 0, 0, 0], filters: 12 },
  { ...base, stride: [3, 2], kernel: [2, 4], padding: [0, 1, 2, 3], height: 9, width: 11, channels: 6 },
  // Rows and columns at the bottom and right that no window reaches: their gradient is zero.
  { ...base, batch: 1, stride: [4, 4], kernel: [3, 3], padding: [0, 0, 0, 0], height: 10, width: 10, channels: 4 },
  // A window as large as the image, one output pixel; a single pixel; a row image.
  { ...base, kernel: [7, 7], padding: [0, 0, 0, 0], filters: 5 },
  { ...base, batch: 1, height: 1, width: 1, channels: 1, filters: 1, kernel: [1, 1], padding: [0, 0, 0, 0], bias: true },
  { ...base, batch: 1, height: 1, width: 13, kernel: [1, 3], padding: [0, 1, 0, 1], channels: 3, filters: 3 },
  // Padding beyond the window: whole windows on zeros.
  { ...base, batch: 1, height: 3, width: 3, padding: [4, 3, 3, 4], filters: 4, channels: 4, bias: true },
  // Enough pixels for several splits of the weight gradient, and more filters than one register tile.
  { ...base, batch: 4, height: 16, width: 16, channels: 4, filters: 4 },
  { ...base, batch: 1, height: 8, width: 8, channels: 8, filters: 68 },
  { ...base, channels: 30, filters: 32, height: 5, width: 6 },
  // Several rows within 4 pixels, windows 3 wide of other heights, splits that end within a row and within 4 pixels.
  { ...base, batch: 3, height: 3, width: 2, channels: 5, filters: 19 },
  { ...base, batch: 5, height: 1, width: 1, channels: 3, filters: 4 },
  { ...base, height: 5, width: 3, kernel: [4, 3], padding: [2, 1, 1, 1], channels: 12, filters: 24, bias: true },
  { ...base, batch: 5, height: 11, width: 11, channels: 3, filters: 9 },
  // Windows 2 wide that keep the size, as shrinkage makes them, and of another height.
  { ...base, batch: 3, channels: 14, filters: 29, kernel: [2, 2], padding: [0, 0, 1, 1], height: 5, width: 7 },
  { ...base, channels: 8, filters: 5, kernel: [2, 2], padding: [0, 0, 1, 1], height: 4, width: 3, bias: true },
  { ...base, batch: 5, channels: 5, filters: 12, kernel: [3, 2], padding: [2, 0, 0, 1], height: 11, width: 11 },
  { ...base, batch: 4, channels: 3, filters: 8, kernel: [1, 2], padding: [0, 0, 0, 1], height: 1, width: 1 },
  // Winograd's algorithm: odd counts, ragged tiles, uneven padding, several images.
  { ...base, channels: 64, filters: 67, height: 4, width: 7, bias: true },
  { ...base, batch: 1, channels: 65, filters: 64, height: 4, width: 6, padding: [0, 3, 2, 1] },
  { ...base, batch: 3, channels: 18, filters: 21, height: 5, width: 6, padding: [2, 0, 1, 2], bias: true },
  // Many channels and filters: large tiles, and sums that are split over taps and filters or channels.
  { ...base, batch: 3, channels: 104, filters: 98, kernel: [1, 1], padding: [0, 0, 0, 0], height: 5, bias: true },
  { ...base, channels: 104, filters: 12, kernel: [1, 1], padding: [0, 0, 0, 0], height: 3, width: 5 },
  { ...base, batch: 1, channels: 12, filters: 98, kernel: [2, 2], padding: [0, 0, 1, 1], height: 5, width: 6 },
  { ...base, channels: 10, filters: 132, stride: [2, 2], height: 5, width: 6 },
  // One channel: rows that are no multiple of 4, several filter tiles, and with `oneChannel` every pipeline of those.
  { ...base, channels: 1, filters: 5, height: 9, width: 11, bias: true },
  { ...base, channels: 1, filters: 40, kernel: [1, 1], padding: [0, 0, 0, 0], height: 5, width: 10, bias: true },
  { ...base, batch: 3, channels: 1, filters: 40, height: 14, width: 15 },
  { ...base, batch: 1, channels: 1, filters: 16, kernel: [5, 5], padding: [0, 0, 0, 0] },
  { ...base, channels: 1, filters: 3, kernel: [7, 7], stride: [1, 3], padding: [3, 3, 2, 1], height: 8, width: 12, bias: true },
  ...oneChannel(2, 1),
  ...oneChannel(2, 2),
  ...oneChannel(3, 1),
  ...oneChannel(3, 2),
  ...oneChannel(5, 1),
  ...oneChannel(5, 2),
  // Depthwise, with multiplier 2, grouped with odd counts, strided.
  { ...base, groups: 8, bias: true },
  { ...base, channels: 5, filters: 10, groups: 5, stride: [2, 2] },
  { ...base, channels: 6, filters: 9, groups: 3, kernel: [3, 2], bias: true },
  { ...base, channels: 12, filters: 12, groups: 12, stride: [2, 2], height: 8, width: 8 },
  { ...base, batch: 3, channels: 6, filters: 6, groups: 6, kernel: [5, 5], padding: [2, 2, 2, 2], height: 14, width: 13, bias: true },
  { ...base, channels: 3, filters: 3, groups: 3, kernel: [2, 4], stride: [2, 3], padding: [0, 1, 2, 3], height: 9, width: 11 },
  { ...base, batch: 1, channels: 5, filters: 5, groups: 5, kernel: [1, 7], stride: [3, 1], padding: [4, 3, 3, 4], height: 4, width: 3 },
];

/** Enough pixels, channels and filters to occupy a large GPU with large tiles, and for Winograd's algorithm with tiles of 32 rows and of 16. */
export const large: readonly Conv2dShape[] = [128, 48].map((channels) => ({
  ...base,
  batch: 64,
  height: 16,
  width: 16,
  channels,
  filters: channels,
}));

export const errors: readonly ErrorSample<Conv2dShape>[] = [
  { shape: { ...base, channels: 6, groups: 4, filters: 8 }, message: /do not divide into 4 groups/ },
  { shape: { ...base, filters: 9, groups: 8 }, message: /do not divide into 8 groups/ },
  { shape: { ...base, kernel: [9, 9], padding: [0, 0, 0, 0] }, message: /does not fit into 7x7.*output would be -1x-1/ },
  { shape: { ...base, stride: [0, 1] }, message: /stride\[0\] is 0/ },
  { shape: { ...base, padding: [0, 0, -1, 0] }, message: /padding\[2\] is -1/ },
  { shape: { ...base, channels: 2.5 }, message: /channels is 2.5/ },
  { shape: { ...base, batch: 0 }, message: /batch is 0/ },
];
