// What the forward kernels do with their sums before they store them: nothing but a bias in conv2d, batch-norm, ReLU and pool in
// conv2dNorm. All of it goes through uniforms, so that both run the same pipelines.
import type { DeviceTraits, Dispatch, Variant } from '../op.js';
import { outputSize, type Conv2dShape } from './shape.js';

export interface Epilogue {
  /**
   * The tensor with a term for each filter [F4], behind it perhaps a factor for each [F4]; any other where `has` is 0. Of `scratch` it is
   * the start, which a variant that needs scratch memory itself keeps free.
   */
  readonly terms: string;
  /** 0: neither terms nor factors; 1: terms; 2: both. */
  readonly has: 0 | 1 | 2;
  readonly relu: boolean;
  /** 2: only the largest of each 2x2 pixels is stored, of odd rows and columns the last left out. */
  readonly side: 1 | 2;
}

/** A forward variant that takes an epilogue; the bias alone unless told. */
export interface ForwardVariant extends Variant<Conv2dShape> {
  /** Whether it can do all of an epilogue, for a shape without groups; by default it can. */
  takes?(shape: Conv2dShape, device: DeviceTraits, epilogue: Epilogue): boolean;
  dispatches(shape: Conv2dShape, device: DeviceTraits, epilogue?: Epilogue): readonly Dispatch[];
}

export const plainEpilogue = ({ bias }: Conv2dShape): Epilogue => ({
  terms: bias ? 'bias' : 'weight',
  has: bias ? 1 : 0,
  relu: false,
  side: 1,
});

export const epilogueUniforms = ({ has, relu, side }: Epilogue): readonly [number, number, number] => [has, Number(relu), side];

/** Pixels that are stored, of the whole batch. */
export function outputsOf(shape: Conv2dShape, { side }: Pick<Epilogue, 'side'>): number {
  const [height, width] = outputSize(shape);
  return shape.batch * Math.floor(height / side) * Math.floor(width / side);
}
