// conv2d's `half` variants: the `tiled` kernels with operands rounded to f16 and held so in workgroup memory, which halves what
// they take of it and what passes through it. Products and sums are f32. For mixed precision, on any adapter with shader-f16.
import type { DeviceTraits, Variant } from '../op.js';
import type { Conv2dShape } from './shape.js';
import { tiledForward, tiledInputGradient, tiledWeightGradient } from './tiled.js';

/** The relative error of each of a product's two operands, rounded to the 11 bits of f16: 2^-11. */
const ROUNDING = 2 * 2 ** -11;

/** What `half` and `matrix` have in common: they are taken in mixed precision only, or by name. */
export const halfOperands = { roundsOperands: true, preferred: (): boolean => false } as const;

const half = (tiled: Variant<Conv2dShape>): Variant<Conv2dShape> => ({
  ...tiled,
  ...halfOperands,
  name: 'half',
  needs: 'shader-f16',
  tolerance: ROUNDING,
  usable: (shape, device: DeviceTraits) => device.f16 && tiled.usable(shape, device),
  dispatches(shape, device) {
    const [product, ...sums] = tiled.dispatches(shape, device);
    return [{ ...product!, aliases: { Staged: 'vec4h' } }, ...sums];
  },
});

export const halfForward = half(tiledForward);
export const halfInputGradient = half(tiledInputGradient);
export const halfWeightGradient = half(tiledWeightGradient);
