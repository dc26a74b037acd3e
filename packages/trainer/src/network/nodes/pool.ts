// What max and average pooling share.
import type { AttributeValue } from '../spec.js';
import type { NodeType, OnnxStep } from './node.js';
import { checkPoolPadding, fitWindow, mapInput, slide, type Window } from './window.js';

/** A window's attributes under their names in ONNX; our order of sides is ONNX's order of pads. */
export function windowAttributes({ kernel, stride, padding }: Window): NonNullable<OnnxStep['attributes']> {
  return { kernel_shape: { ints: kernel }, strides: { ints: stride }, pads: { ints: padding } };
}

type Pooling<A extends Record<string, AttributeValue>> = Omit<NodeType<A>, 'type' | 'attributes' | 'attributeNames' | 'onnx'>;

/** Everything of a pooling type but its name, its attributes' schema and its operator. */
export function pooling<A extends Window & Record<string, AttributeValue>>(): Pooling<A> {
  return {
    arity: 1,
    shrinkable: [
      { attribute: 'kernel', minimum: 1 },
      { attribute: 'stride', minimum: 1 },
      { attribute: 'padding', minimum: 0 },
    ],
    coupling: () => ({ kind: 'same' }),
    shape(a, inputs) {
      const input = mapInput(inputs);
      checkPoolPadding(a);
      return { kind: 'map', channels: input.channels, ...slide(a, input) };
    },
    parameters: () => [],
    macs: () => 0,
    align(a) {
      const [height, width] = a.kernel;
      const [top, left, bottom, right] = a.padding;
      return {
        ...a,
        padding: [Math.min(top, height - 1), Math.min(left, width - 1), Math.min(bottom, height - 1), Math.min(right, width - 1)],
      };
    },
    fit(a, input, size) {
      const fitted = fitWindow(a, input, size);
      checkPoolPadding(fitted);
      return fitted;
    },
  };
}
