// The tuner: what it measures, what it refuses, what it chooses, and that recordings and warm-up follow the choices.
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { openDevice } from '../gpu/device.js';
import { Recorder } from '../gpu/recording.js';
import { warmDispatches } from '../gpu/warm.js';
import { conv2d, linear, type Conv2dShape, type LinearShape } from '../ops/index.js';
import { chooseVariant, classKey, type Choices, type DeviceTraits, type Dispatch, type Op, type Variant } from '../ops/op.js';
import { tuneCases, unknownChoices, type TuneCase } from './cases.js';
import { choicesOf, fastest, tune, tuneCase, type TunedVariant } from './tune.js';

const gpu = await openDevice();
afterAll(() => gpu.close());
afterEach(() => {
  gpu.choices = {};
});

const lavapipe: DeviceTraits = { subgroupSize: 8, f16: true, kind: 'cpu', maxWorkgroups: 65_535 };
const discrete: DeviceTraits = { ...lavapipe, subgroupSize: 32, matrixUnits: true, kind: 'gpu' };
const square: Conv2dShape = conv2d.tuning!.shapes[0]!;

describe('the cases', () => {
  it('have one shape a class, which the op accepts', () => {
    const names = tuneCases(false).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { op, shape } of tuneCases(false)) expect(() => op.check(shape)).not.toThrow();
    expect(names).toContain('conv2d/weight-gradient/3x3 s1 c16 f32 p65536');
    expect(names).toContain('linear/forward/b4096 i4096 o4096');
  });

  it('leave out on a software adapter what takes seconds', () => {
    const software = tuneCases(true);
    expect(Math.max(...software.map(({ flops }) => flops))).toBeLessThanOrEqual(1e9);
    expect(software.length).toBeGreaterThan(40);
    expect(software.map(({ name }) => name)).not.toContain('linear/forward/b4096 i4096 o4096');
  });

  it('tell windows, steps, groups and sizes apart', () => {
    const of = (change: Partial<Conv2dShape>): string => conv2d.tuning!.classOf({ ...square, ...change });
    expect(of({})).toBe('3x3 s1 c16 f32 p65536');
    expect(of({ batch: 1, height: 8, width: 8 })).toBe('3x3 s1 c16 f32 p64');
    expect(of({ stride: [2, 1], filters: 2000 })).toBe('3x3 s2x1 c16 f+ p65536');
    expect(of({ channels: 64, filters: 64, groups: 64 })).toBe('depthwise 3x3 s1 c64 f64 p65536');
    expect(of({ channels: 64, filters: 64, groups: 4 })).toBe('grouped 3x3 s1 c64 f64 p65536');
    expect(classKey(conv2d, 'bias-gradient', square)).toBeUndefined();
  });
});

const timed = (variant: string, bestMs: number | null, refused: string | null = null): TunedVariant => ({
  variant,
  bestMs,
  gflops: null,
  deviation: 0,
  refused,
});

describe('the choice', () => {
  it('leaves the order of preference for a clear gain only', () => {
    expect(fastest([timed('a', 10), timed('b', 9.5), timed('c', 30)], 'a')).toBe('a');
    expect(fastest([timed('a', 10), timed('b', 8), timed('c', 7)], 'a')).toBe('c');
    expect(fastest([timed('a', 10), timed('b', 12)], 'a')).toBe('a');
  });

  it('never takes a refused variant, and leaves one that is wrong for any that is right', () => {
    expect(fastest([timed('a', 10), timed('b', 1, 'computes with fewer bits')], 'a')).toBe('a');
    expect(fastest([timed('a', null, 'differs'), timed('b', 50), timed('c', 40)], 'a')).toBe('c');
    expect(fastest([timed('a', null, 'differs')], 'a')).toBe('a');
  });

  it('is kept only where it differs', () => {
    const one = { name: 'x/forward/c', builtIn: 'a', chosen: 'b' };
    expect(choicesOf([one, { ...one, name: 'x/forward/d', chosen: 'a' }])).toEqual({ 'x/forward/c': 'b' });
  });
});

describe('a choice of the device', () => {
  const shape: LinearShape = { batch: 8, inputs: 16, outputs: 8, bias: false };
  const key = classKey(linear, 'forward', shape)!;
  const chosen = (choices: Choices, traits = lavapipe): string => chooseVariant(linear, 'forward', shape, traits, { choices }).name;

  it('is followed for its class and pass, and gives way to a name', () => {
    expect(chosen({})).toBe('subgroup');
    expect(chosen({ [key]: 'plain' })).toBe('plain');
    expect(chosen({ [key]: 'tiled' }), 'not preferred, but chosen').toBe('tiled');
    expect(chosen({ [classKey(linear, 'forward', { ...shape, batch: 100 })!]: 'plain' })).toBe('subgroup');
    expect(chooseVariant(linear, 'input-gradient', shape, lavapipe, { choices: { [key]: 'plain' } }).name).toBe('subgroup');
    expect(chooseVariant(linear, 'forward', shape, lavapipe, { wanted: 'tiled', choices: { [key]: 'plain' } }).name).toBe('tiled');
  });

  it('falls back where it cannot run or is not there', () => {
    expect(chosen({ [key]: 'matrix' })).toBe('subgroup');
    expect(chosen({ [key]: 'subgroup' }, { ...discrete, subgroupSize: 64 })).toBe('tiled');
    expect(chosen({ [key]: 'none such' })).toBe('subgroup');
  });

  it('is what recordings take', async () => {
    const slices = await Promise.all(['x', 'weight', 'y'].map(async (name) => [name, await gpu.allocate(4096, name)] as const));
    const tensors = Object.fromEntries(slices);
    gpu.choices = { [key]: 'plain' };
    const recorder = new Recorder(gpu);
    recorder.add(linear, 'forward', shape, tensors);
    const recording = await recorder.finish('test');
    expect(recording.steps.map(({ call }) => call.variant)).toEqual(['plain']);
    await recording.destroy();
    await gpu.free(...Object.values(tensors));
  });

  it('is refused by name when this version does not have it', () => {
    expect(unknownChoices({ [key]: 'plain' })).toEqual([]);
    expect(unknownChoices({ [key]: 'gone', 'conv2d/bias-gradient/x': 'plain', 'relu/forward/x': 'plain' })).toEqual([
      `${key}: no variant "gone"`,
      'conv2d/bias-gradient/x: nothing to choose there',
      'relu/forward/x: nothing to choose there',
    ]);
  });
});

describe('warm-up', () => {
  const pipelineOf = ({ wgsl, constants = {} }: Dispatch): string => `${wgsl.href} ${JSON.stringify(constants)}`;
  const passes = conv2d.tuning!.passes;
  // Every class of the shapes below gets a variant by turns, runnable or not.
  const shapes = [1, 3, 16, 40, 64, 130].flatMap((channels) =>
    [8, 21, 36, 64, 100].flatMap((filters) =>
      [1, 3, 5].flatMap((kernel) =>
        [1, 2].flatMap((stride) =>
          [2, 200].map((batch): Conv2dShape => {
            const border = (kernel - 1) / 2;
            const window = { kernel: [kernel, kernel], stride: [stride, stride], padding: [border, border, border, border] } as const;
            return { ...square, ...window, batch, channels, filters };
          }),
        ),
      ),
    ),
  );

  it.each(passes.flatMap((pass) => [lavapipe, discrete].map((traits) => [pass, traits.kind, traits] as const)))(
    'reaches every pipeline that choices lead to: %s, %s',
    (passName, _, traits) => {
      const names = conv2d.passes[passName]!.variants.map(({ name }) => name);
      const choices = Object.fromEntries(shapes.map((shape, i) => [classKey(conv2d, passName, shape)!, names[i % names.length]!]));
      const known = new Set(warmDispatches(conv2d, traits, choices).map(pipelineOf));
      for (const shape of shapes) {
        const { name, dispatches } = chooseVariant(conv2d, passName, shape, traits, { choices });
        for (const dispatch of dispatches(shape, traits)) expect(known, `${name} ${JSON.stringify(shape)}`).toContain(pipelineOf(dispatch));
      }
    },
  );

  it('compiles nothing of a variant that nobody chose', () => {
    const tiled = (choices: Choices): boolean =>
      warmDispatches(linear, lavapipe, choices).some(({ wgsl }) => wgsl.pathname.includes('.tiled.'));
    expect(tiled({})).toBe(false);
    expect(tiled({ 'linear/forward/b64 i64 o16': 'tiled' })).toBe(true);
  });
});

describe('tuning on this adapter', () => {
  const small = 'linear/forward/b64 i64 o16';

  it('checks and times the preferred variants of a class, or all of them', async () => {
    const before = gpu.statistics.bytesAllocated;
    const seen: string[] = [];
    const { cases, left } = await tune(gpu, { filter: small, all: true, onProgress: ({ name }) => seen.push(name) });
    expect(left).toEqual([]);
    expect(seen).toEqual([small]);
    const [one] = cases;
    expect(one).toMatchObject({ name: small, flops: 2 * 64 * 64 * 10, shape: { batch: 64, inputs: 64, outputs: 10 } });
    const names = one!.variants.map(({ variant }) => variant);
    expect(names).toContain('tiled');
    expect(names).toContain('plain');
    expect(names).toContain(one!.chosen);
    for (const { variant, bestMs, gflops, deviation, refused } of one!.variants) {
      expect(refused).toBe(variant === 'half' ? 'computes with fewer bits' : null);
      expect(deviation).toBeLessThan(variant === 'half' ? 2e-3 : 1e-5);
      expect(gflops! * bestMs! * 1e6).toBeCloseTo(one!.flops, 0);
    }
    expect(gpu.statistics.bytesAllocated).toBe(before);
  });

  it('keeps its time limit, names what is left, and measures last what it has', async () => {
    const { cases, left } = await tune(gpu, { filter: 'linear/forward', timeLimitMs: 0, last: new Set([small]) });
    expect(cases).toEqual([]);
    expect(left.at(-1)).toEqual({ name: small, reason: 'the time limit' });
    expect(left.length).toBeGreaterThan(2);
    await expect(tune(gpu, { filter: 'pool' })).rejects.toThrow(/no class has "pool" in its name; there are conv2d\/forward/);
    await expect(tune(gpu, { filter: small, signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow('stopped');
  });

  it('refuses variants that are wrong, incomplete or do not compile', async () => {
    const { variants } = linear.passes['forward']!;
    const plain = variants.at(-1)!;
    const altered = (name: string, change: (dispatch: Dispatch) => Dispatch): Variant<LinearShape> => ({
      ...plain,
      name,
      dispatches: (shape, device) => plain.dispatches(shape, device).map(change),
    });
    const op: Op<LinearShape> = {
      ...linear,
      passes: {
        forward: {
          ...linear.passes['forward']!,
          variants: [
            altered('partial', (dispatch) => ({ ...dispatch, workgroups: [1, 1, 1] })),
            altered('wrong', (dispatch) => ({ ...dispatch, uniforms: [...dispatch.uniforms.slice(0, -2), 1, 1] })), // a ReLU
            altered('uncompilable', (dispatch) => ({ ...dispatch, constants: { NONE_SUCH: 1 } })),
            { ...plain, name: 'coarse', tolerance: 1e-3 },
            plain,
          ],
        },
      },
    };
    const shape = { batch: 64, inputs: 64, outputs: 64, bias: false };
    const one: TuneCase = { name: 'altered', op, passName: 'forward', shape, flops: 1 };
    const found = await tuneCase(gpu, one);
    expect(found).toMatchObject({ builtIn: 'partial', chosen: 'plain' });
    expect(found.variants.map(({ variant, bestMs, refused }) => [variant, bestMs !== null, refused])).toEqual([
      ['partial', false, 'differs from the plain kernel by NaN'],
      ['wrong', false, expect.stringMatching(/^differs from the plain kernel by [\d.]+$/)],
      ['uncompilable', false, expect.stringMatching(/NONE_SUCH/)],
      ['coarse', true, 'computes with fewer bits'],
      ['plain', true, null],
    ]);
    gpu.check();
  });
});
