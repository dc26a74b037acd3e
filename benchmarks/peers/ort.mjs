// onnxruntime, inference only: on the CPU with one or two threads, and through its WebGPU provider where the package has it. Its Node
// interface takes inputs from and gives outputs to host memory: on WebGPU both copies are in the figures.
import { createRequire } from 'node:module';
import { readFloats, serve, UnsupportedError } from '../dist/peers/serve.js';
import { onnxModel } from './onnx.mjs';

const require = createRequire(import.meta.url);
const ort = require('onnxruntime-node');

let options;

const engine = {
  async open(variant) {
    const [provider, threads = '1'] = variant.split('-');
    const { version } = require('onnxruntime-node/package.json');
    const offered = ort.listSupportedBackends().map(({ name }) => name);
    if (!offered.includes(provider))
      throw new Error(`onnxruntime-node ${version} has no ${provider} provider here; it has ${offered.join(', ')}`);
    options = {
      executionProviders: [provider],
      intraOpNumThreads: Number(threads),
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
    };
    if (provider !== 'webgpu') return { version, device: `CPU, ${threads} threads` };
    const note = 'copies of inputs and outputs between host and device are in its figures';
    return { version, device: 'its own choice of adapter', note };
  },
  async prepare(peerCase) {
    switch (peerCase.kind) {
      case 'gemm':
        return session(gemmGraph(peerCase), peerCase.inputs.a);
      case 'conv':
        return session(convGraph(peerCase), peerCase.pass === 'forward' ? peerCase.inputs.x : peerCase.inputs.dy);
      case 'eval':
        return session(networkGraph(peerCase), peerCase.inputs.x);
      default:
        throw new UnsupportedError('onnxruntime does not train');
    }
  },
};

async function session(graph, input) {
  const created = await ort.InferenceSession.create(onnxModel(graph), options);
  const feeds = { x: new ort.Tensor('float32', readFloats(input), [...input.shape]) };
  return {
    async check() {
      const { y } = await created.run(feeds);
      return Float32Array.from(y.data);
    },
    async run(units) {
      for (let i = 0; i < units; i++) await created.run(feeds);
    },
    async release() {
      await created.release();
    },
  };
}

const load = (name, tensor) => ({ name, shape: tensor.shape, values: readFloats(tensor) });

const gemmGraph = ({ inputs, size }) => ({
  nodes: [{ op: 'MatMul', inputs: ['x', 'b'], outputs: ['y'] }],
  initializers: [load('b', inputs.b)],
  inputs: [{ name: 'x', shape: [size, size] }],
  outputs: [{ name: 'y', shape: [size, size] }],
});

function convGraph({ pass, inputs, batch, channels, filters, size }) {
  if (pass === 'weight-gradient') throw new UnsupportedError('onnxruntime has no gradient of the filters');
  const forward = pass === 'forward';
  const maps = (count) => [batch, count, size, size];
  return {
    // The input gradient of a convolution at stride 1 is a transposed convolution with the same filters.
    nodes: [{ op: forward ? 'Conv' : 'ConvTranspose', inputs: ['x', 'weight'], outputs: ['y'], attributes: { pads: [1, 1, 1, 1] } }],
    initializers: [load('weight', inputs.weight)],
    inputs: [{ name: 'x', shape: maps(forward ? channels : filters) }],
    outputs: [{ name: 'y', shape: maps(forward ? filters : channels) }],
  };
}

function networkGraph({ nodes, weights, inputs, inputId, batch, classes }) {
  const last = nodes.at(-1).id;
  const rename = (id) => (id === inputId ? 'x' : id === last ? 'y' : id);
  return {
    nodes: nodes.map(({ id, type, inputs: from, attributes }) => {
      const layer = layers[type];
      if (layer === undefined) throw new UnsupportedError(`no layer "${type}" here`);
      const { op, tensors = [], attributes: written } = layer(attributes);
      return { op, inputs: [...from.map(rename), ...tensors.map((name) => `${id}.${name}`)], outputs: [rename(id)], attributes: written };
    }),
    initializers: Object.entries(weights).map(([name, file]) => load(name, file)),
    inputs: [{ name: 'x', shape: inputs.x.shape }],
    outputs: [{ name: 'y', shape: [batch, classes] }],
  };
}

const withBias = (bias) => (bias ? ['weight', 'bias'] : ['weight']);

const layers = {
  conv2d: ({ stride, padding, groups, bias }) => ({
    op: 'Conv',
    tensors: withBias(bias),
    attributes: { strides: stride, pads: padding, group: groups },
  }),
  'batch-norm': ({ epsilon }) => ({
    op: 'BatchNormalization',
    tensors: ['weight', 'bias', 'running_mean', 'running_var'],
    attributes: { epsilon: { float: epsilon } },
  }),
  relu: () => ({ op: 'Relu' }),
  'max-pool': ({ kernel, stride }) => ({ op: 'MaxPool', attributes: { kernel_shape: kernel, strides: stride } }),
  // [N, C, 1, 1] -> [N, C]: ReduceMean without keeping the axes
  'global-average-pool': () => ({ op: 'ReduceMean', attributes: { axes: [2, 3], keepdims: 0 } }),
  add: () => ({ op: 'Sum' }),
  flatten: () => ({ op: 'Flatten' }),
  linear: ({ bias }) => ({ op: 'Gemm', tensors: withBias(bias), attributes: { transB: 1 } }),
};

await serve(engine);
