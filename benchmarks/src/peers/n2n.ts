// n2n as one of the engines: the same protocol, the same inputs, in a process of its own. Run as a script.
import { conv2d, linear, openDevice, Recorder, type Encodable, type Gpu, type Slice } from '@n2n/kernels';
import { EvaluationPlan, TrainingPlan } from '@n2n/trainer';
import { prepareStep, stepCases, stepData } from '../steps.js';
import { readFloats, serve, type Engine, type Work } from './serve.js';
import type { ConvCase, EngineInfo, GemmCase, NetworkCase, PeerCase } from './protocol.js';

let gpu: Gpu;

const engine: Engine = {
  async open(adapter): Promise<EngineInfo> {
    gpu = await openDevice(adapter === 'any' || adapter === 'cpu' || adapter === 'gpu' ? { prefer: adapter } : { adapter });
    return { version: '', device: JSON.stringify(gpu.adapter) };
  },
  prepare(peerCase: PeerCase): Promise<Work> {
    switch (peerCase.kind) {
      case 'gemm':
        return prepareGemm(peerCase);
      case 'conv':
        return prepareConv(peerCase);
      case 'step':
      case 'eval':
        return prepareNetwork(peerCase);
      default:
        return peerCase satisfies never;
    }
  },
  close: () => gpu?.close(),
};

/** Replays `work` in one submit; the time of encoding counts, as it does for the others. */
async function replay(work: Encodable, units: number): Promise<void> {
  const encoder = gpu.raw.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < units; i++) work.encode(pass);
  pass.end();
  gpu.submit(encoder);
  await gpu.done();
}

async function upload(values: Float32Array, label: string): Promise<Slice> {
  const slice = await gpu.allocate(values.byteLength, label);
  gpu.write(slice, values);
  return slice;
}

/** dx = dy weight is the product A B. */
async function prepareGemm({ size, inputs }: GemmCase): Promise<Work> {
  const dy = await upload(readFloats(inputs.a), 'a');
  const weight = await upload(readFloats(inputs.b), 'b');
  const dx = await gpu.allocate(size * size * 4, 'c');
  const recorder = new Recorder(gpu);
  recorder.add(linear, 'input-gradient', { batch: size, inputs: size, outputs: size, bias: false }, { dy, weight, dx });
  return recordedWork(recorder, [dy, weight, dx], async () => gpu.read(dx));
}

async function prepareConv({ batch, channels, size, filters, pass, inputs }: ConvCase): Promise<Work> {
  if (channels % 4 !== 0 || filters % 4 !== 0)
    throw new Error(`the case has ${channels} channels and ${filters} filters; it needs multiples of 4`);
  const positions = size * size;
  const x = await upload(toChannelsLast(readFloats(inputs.x), batch, channels, positions), 'x');
  const weight = await upload(toChannelsLast(readFloats(inputs.weight), filters, channels, 9), 'weight');
  const dy = await upload(toChannelsLast(readFloats(inputs.dy), batch, filters, positions), 'dy');
  const outputs = {
    forward: { name: 'y', outer: batch, inner: filters, positions },
    'input-gradient': { name: 'dx', outer: batch, inner: channels, positions },
    'weight-gradient': { name: 'dweight', outer: filters, inner: channels, positions: 9 },
  };
  const output = outputs[pass];
  const out = await gpu.allocate(output.outer * output.inner * output.positions * 4, output.name);
  const recorder = new Recorder(gpu);
  const geometry = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], groups: 1, bias: false } as const;
  const shape = { batch, channels, height: size, width: size, filters, ...geometry };
  recorder.add(conv2d, pass, shape, { x, weight, dy, [output.name]: out });
  return recordedWork(recorder, [x, weight, dy, out], async () =>
    toChannelsFirst(await gpu.read(out), output.outer, output.inner, output.positions),
  );
}

async function recordedWork(recorder: Recorder, slices: readonly Slice[], read: () => Promise<Float32Array>): Promise<Work> {
  const recording = await recorder.finish('peer case');
  return {
    async check() {
      recording.replay();
      return read();
    },
    run: (units) => replay(recording, units),
    async release() {
      await recording.destroy();
      await gpu.free(...slices);
    },
  };
}

/** [outer, inner, positions] -> [outer, positions, inner]. */
function toChannelsLast(values: Float32Array, outer: number, inner: number, positions: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < inner; c++) {
      for (let p = 0; p < positions; p++) turned[(o * positions + p) * inner + c] = values[(o * inner + c) * positions + p]!;
    }
  }
  return turned;
}

const toChannelsFirst = (values: Float32Array, outer: number, inner: number, positions: number): Float32Array =>
  toChannelsLast(values, outer, positions, inner);

async function prepareNetwork(peerCase: NetworkCase): Promise<Work> {
  const stepCase = stepCases.find(({ name }) => name === peerCase.name);
  if (stepCase === undefined) throw new Error(`no case "${peerCase.name}"`);
  const optimiser = { nesterov: false, weightDecay: 0, momentum: peerCase.momentum };
  const prepared = await prepareStep(gpu, stepCase, stepData(stepCase), { learningRate: peerCase.checkRate, optimiser });
  const { plan, bench } = prepared;
  const work = bench.record as Encodable;
  return {
    async check() {
      if (plan instanceof EvaluationPlan) {
        await replay(work, 1);
        return withoutPadding(await gpu.read(plan.logits), peerCase.batch, peerCase.classes);
      }
      const losses = new Float32Array(peerCase.checkSteps);
      for (let step = 0; step < peerCase.checkSteps; step++) {
        gpu.write(plan.totals, new Float32Array(4));
        await replay(work, 1);
        losses[step] = (await gpu.read(plan.totals))[0]! / peerCase.batch;
      }
      return losses;
    },
    async run(units) {
      if (plan instanceof TrainingPlan) gpu.write(plan.schedule, new Float32Array([peerCase.timedRate, 0, 0, 0]));
      await replay(work, units);
    },
    release: () => prepared.destroy(),
  };
}

function withoutPadding(rows: Float32Array, count: number, width: number): Float32Array {
  const stride = rows.length / count;
  return Float32Array.from({ length: count * width }, (_, i) => rows[Math.floor(i / width) * stride + (i % width)]!);
}

await serve(engine);
