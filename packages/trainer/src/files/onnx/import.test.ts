// Networks exported by PyTorch (testing/onnx/fixtures.py) give PyTorch's logits.
import { openDevice } from '@n2n/kernels';
import { afterAll, describe, expect, it } from 'vitest';
import { deviceLogits, onnxFixture, plainPreprocessing, relativeDifference } from '../../testing/onnx.js';
import { loadOnnx } from './index.js';

const gpu = await openDevice();
afterAll(() => gpu.close());

describe.each(['residual', 'residual-bn', 'squeeze', 'mobile', 'dense', 'plain'])('%s', (name) => {
  it("gives PyTorch's logits", async () => {
    const fixture = onnxFixture(name);
    const source = await loadOnnx(fixture.path);
    const { channels, height, width, classes } = fixture;
    expect({ ...source.spec.input, classes: source.spec.classes }).toEqual({ channels, height, width, classes });
    const logits = await deviceLogits(gpu, source, fixture.pixels, plainPreprocessing(channels));
    expect(relativeDifference(logits, fixture.logits)).toBeLessThan(2e-5);
  });
});
