// What a network computes, for tests of files and transformations: logits on the device, and in ONNX Runtime.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { padded, type Gpu } from '@n2n/kernels';
import { readFileSync } from 'node:fs';
import { analyse } from '../network/index.js';
import type { Network } from '../transform/index.js';
import { EvaluationPlan } from '../plan/plan.js';
import { Parameters } from '../plan/parameters.js';
import { evaluationFeed, plainOrder } from '../train/evaluate.js';
import { DeviceImages } from '../train/images.js';
import { runSteps } from '../train/run.js';
import type { Preprocessing } from '../files/index.js';

interface LogitsFixture {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  readonly images: number;
  /** [images, C, H, W] */
  readonly pixels: Uint8Array;
  /** [images, classes], of pixels / 255. */
  readonly logits: readonly number[];
  /** Of the mean cross-entropy in training mode, image i of class i % classes: up to 4 elements and the norm of each tensor. */
  readonly gradients?: Readonly<Record<string, string>>;
}

/** As the script writes it: pixels in base64, logits between spaces. */
type Written = Omit<LogitsFixture, 'pixels' | 'logits'> & { readonly pixels: string; readonly logits: string };

/** Fixtures written by onnx/fixtures.py. */
export function onnxFixture(name: string): LogitsFixture & { readonly path: string } {
  const all = JSON.parse(readFileSync(new URL('./onnx/logits.json', import.meta.url), 'utf8')) as Record<string, Written>;
  const fixture = all[name];
  if (fixture === undefined) throw new Error(`no fixture "${name}"`);
  const pixels = Uint8Array.from(Buffer.from(fixture.pixels, 'base64'));
  const logits = fixture.logits.split(' ').map(Number);
  return { ...fixture, pixels, logits, path: new URL(`./onnx/${name}.onnx`, import.meta.url).pathname };
}

export const plainPreprocessing = (channels: number): Preprocessing => ({
  mean: new Array<number>(channels).fill(0),
  std: new Array<number>(channels).fill(1),
});

/** Logits [images, classes] of images given as bytes, on the device. */
export async function deviceLogits(
  gpu: Gpu,
  { spec, weights }: Network,
  pixels: Uint8Array,
  preprocessing: Preprocessing,
): Promise<number[]> {
  const { channels, height, width } = spec.input;
  const count = pixels.length / (channels * height * width);
  const images = await DeviceImages.create(gpu, { images: pixels, labels: new Uint8Array(count), count }, spec.input);
  const parameters = await Parameters.create(gpu, spec, weights);
  const feed = await evaluationFeed(gpu, images, preprocessing, count, count);
  const plan = await EvaluationPlan.create(gpu, parameters, feed);
  feed.setOrder(plainOrder(Uint32Array.from({ length: count }, (_, i) => i)));
  await runSteps(gpu, feed, (pass) => plan.recording.encode(pass), 1, {});
  const rows = await gpu.read(plan.logits);
  for (const owner of [plan, feed, parameters, images]) await owner.destroy();
  const stride = padded(spec.classes);
  return Array.from({ length: count * spec.classes }, (_, i) => rows[Math.floor(i / spec.classes) * stride + (i % spec.classes)]!);
}

/** Logits of an ONNX file in ONNX Runtime, for images given as bytes; the file may want them with their channels last. */
export async function runtimeLogits(
  file: string | Uint8Array,
  pixels: Uint8Array,
  spec: Network['spec'],
  { mean, std }: Preprocessing,
  channelsLast = false,
): Promise<number[]> {
  const session = typeof file === 'string' ? await InferenceSession.create(file) : await InferenceSession.create(file);
  const { channels, height, width } = spec.input;
  const area = height * width;
  const data = Float32Array.from(pixels, (value, i) => {
    const c = Math.floor(i / area) % channels;
    return (value / 255 - mean[c]!) / std[c]!;
  });
  const [input = ''] = session.inputNames;
  const count = pixels.length / (channels * area);
  const tensor = channelsLast
    ? new Tensor(
        'float32',
        data.map(
          (_, i) => data[Math.floor(i / (area * channels)) * area * channels + (i % channels) * area + (Math.floor(i / channels) % area)]!,
        ),
        [count, height, width, channels],
      )
    : new Tensor('float32', data, [count, channels, height, width]);
  const results = await session.run({ [input]: tensor });
  const output = results[session.outputNames[0] ?? ''];
  await session.release();
  return Array.from(output?.data as Float32Array);
}

/** Random weights for every tensor of a spec, batch-norm statistics included: nothing is a special case. */
export function randomWeights(spec: Network['spec'], normal: () => number): Map<string, Float32Array> {
  const weights = new Map<string, Float32Array>();
  for (const { node, parameters } of analyse(spec).nodes) {
    for (const { name, shape, fanIn } of parameters) {
      const length = shape.reduce((product, size) => product * size, 1);
      const draw = (): number => {
        if (name === 'running_var') return 0.5 + Math.abs(normal());
        if (node.type === 'batch-norm' && name === 'weight') return 1 + 0.2 * normal();
        return normal() * (name === 'weight' ? Math.sqrt(2 / (fanIn ?? length)) : 0.2);
      };
      weights.set(`${node.id}.${name}`, Float32Array.from({ length }, draw));
    }
  }
  return weights;
}

/** Largest |a - b| over the largest |b|. */
export function relativeDifference(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) throw new Error(`got ${a.length} values, expected ${b.length}`);
  const scale = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = b.reduce((most, value, i) => Math.max(most, Math.abs(value - (a[i] ?? NaN))), 0);
  return a.some(Number.isNaN) ? NaN : worst / scale;
}
