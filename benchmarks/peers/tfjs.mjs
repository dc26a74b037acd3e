// TensorFlow.js on its WebGPU backend, in its own layout (NHWC). Its synchronous read-backs throw in Node: only data() is used.
import { createRequire } from 'node:module';
import { readFloats, readIntegers, serve, UnsupportedError } from '../dist/peers/serve.js';
import { provideNavigator, settle, watchErrors } from './dawn.mjs';

const require = createRequire(import.meta.url);
let tf;
/** Throws what the device met. */
let checkErrors;

const engine = {
  async open(_variant, flags) {
    const device = await provideNavigator(flags);
    tf = require('@tensorflow/tfjs-core');
    require('@tensorflow/tfjs-backend-cpu'); // the WebGPU backend hands small tensors to it
    require('@tensorflow/tfjs'); // for the gradients, which tfjs-core alone does not register
    require('@tensorflow/tfjs-backend-webgpu');
    if (!(await tf.setBackend('webgpu'))) throw new Error('the WebGPU backend does not start');
    await tf.ready();
    checkErrors = watchErrors(tf.backend().device);
    return { version: tf.version_core, device };
  },
  async prepare(peerCase) {
    switch (peerCase.kind) {
      case 'gemm':
        return prepareGemm(peerCase);
      case 'conv':
        return prepareConv(peerCase);
      default:
        return prepareNetwork(peerCase);
    }
  },
};

/** Submits what is pending and waits for it. */
async function finish() {
  const backend = tf.backend();
  backend.endComputePassEncoder();
  if (backend.commandEncoder) backend.submitQueue();
  await backend.device.queue.onSubmittedWorkDone();
  await settle();
  checkErrors();
}

/** @param {() => object} compute makes one tensor */
function repeated(compute, readable, tensors) {
  return {
    async check() {
      const result = tf.tidy(() => readable(compute()));
      const values = await result.data();
      result.dispose();
      return Float32Array.from(values);
    },
    async run(units) {
      for (let i = 0; i < units; i++) tf.tidy(() => void compute());
      await finish();
    },
    async release() {
      tf.dispose(tensors);
    },
  };
}

function prepareGemm({ inputs, size }) {
  const [a, b] = [tf.tensor2d(readFloats(inputs.a), [size, size]), tf.tensor2d(readFloats(inputs.b), [size, size])];
  return repeated(
    () => tf.matMul(a, b),
    (c) => c,
    [a, b],
  );
}

const upload = ({ shape, ...file }, order) => tf.tidy(() => tf.transpose(tf.tensor(readFloats(file), shape), order));

const TO_NHWC = [0, 2, 3, 1];
const TO_NCHW = [0, 3, 1, 2];
/** OIHW -> HWIO and back. */
const TO_HWIO = [2, 3, 1, 0];
const TO_OIHW = [3, 2, 0, 1];

function prepareConv({ inputs, pass, channels, filters, batch, size }) {
  const x = upload(inputs.x, TO_NHWC);
  const dy = upload(inputs.dy, TO_NHWC);
  const weight = upload(inputs.weight, TO_HWIO);
  const common = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC' };
  const attributes = { ...common, dimRoundingMode: undefined };
  const inputShape = [batch, size, size, channels];
  const filterShape = [3, 3, channels, filters];
  const kernels = {
    forward: [() => tf.conv2d(x, weight, 1, 'same'), TO_NCHW],
    'input-gradient': [() => tf.engine().runKernel('Conv2DBackpropInput', { dy, filter: weight }, { ...attributes, inputShape }), TO_NCHW],
    'weight-gradient': [() => tf.engine().runKernel('Conv2DBackpropFilter', { x, dy }, { ...attributes, filterShape }), TO_OIHW],
  };
  const [compute, order] = kernels[pass];
  return repeated(compute, (result) => tf.transpose(result, order), [x, dy, weight]);
}

async function prepareNetwork(peerCase) {
  const x = upload(peerCase.inputs.x, TO_NHWC);
  const labels = tf.tensor1d(readIntegers(peerCase.inputs.labels), 'int32');
  const oneHot = tf.tidy(() => tf.cast(tf.oneHot(labels, peerCase.classes), 'float32'));
  const training = peerCase.kind === 'step';
  const weights = {};
  for (const [name, file] of Object.entries(peerCase.weights)) {
    const order = file.shape.length === 4 ? TO_HWIO : file.shape.length === 2 ? [1, 0] : [0];
    const trained = !name.includes('.running_');
    weights[name] = tf.tidy(() => tf.variable(upload(file, order), training && trained));
  }
  const forward = () => runNetwork(peerCase, weights, x, training);
  const owned = [x, labels, oneHot, ...Object.values(weights)];
  if (!training) return repeated(forward, (logits) => logits, owned);

  let optimiser = tf.train.momentum(peerCase.checkRate, peerCase.momentum);
  const trained = Object.values(weights).filter((variable) => variable.trainable);
  const step = () => optimiser.minimize(() => tf.losses.softmaxCrossEntropy(oneHot, forward()), true, trained);
  return {
    async check() {
      const losses = new Float32Array(peerCase.checkSteps);
      for (let i = 0; i < losses.length; i++) {
        const loss = step();
        losses[i] = (await loss.data())[0];
        loss.dispose();
      }
      optimiser.dispose();
      optimiser = tf.train.momentum(peerCase.timedRate, peerCase.momentum);
      return losses;
    },
    async run(units) {
      for (let i = 0; i < units; i++) step().dispose();
      await finish();
    },
    async release() {
      optimiser.dispose();
      tf.dispose(owned);
    },
  };
}

/** Interprets the nodes; returns the logits. */
function runNetwork({ nodes, inputId }, weights, x, training) {
  const values = { [inputId]: x };
  for (const { id, type, inputs, attributes } of nodes) {
    const node = layers[type];
    if (node === undefined) throw new UnsupportedError(`no layer "${type}" here`);
    values[id] = node(
      inputs.map((input) => values[input]),
      attributes,
      (name) => weights[`${id}.${name}`],
      training,
    );
  }
  return values[nodes.at(-1).id];
}

/** [top, left, bottom, right], as NetworkSpec has it -> what conv2d takes. */
const explicitPadding = ([top, left, bottom, right]) => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
];

const layers = {
  conv2d([x], { stride, padding, groups, bias }, weight) {
    if (groups !== 1) throw new UnsupportedError('no grouped convolution here');
    const y = tf.conv2d(x, weight('weight'), stride, explicitPadding(padding));
    return bias ? tf.add(y, weight('bias')) : y;
  },
  'batch-norm'([x], { epsilon }, weight, training) {
    const axes = x.rank === 4 ? [0, 1, 2] : [0];
    const { mean, variance } = training ? tf.moments(x, axes) : { mean: weight('running_mean'), variance: weight('running_var') };
    return tf.batchNorm(x, mean, variance, weight('bias'), weight('weight'), epsilon);
  },
  relu: ([x]) => tf.relu(x),
  'max-pool': ([x], { kernel, stride }) => tf.maxPool(x, kernel, stride, 'valid'),
  'global-average-pool': ([x]) => tf.mean(x, [1, 2]),
  add: (inputs) => tf.addN(inputs),
  flatten: ([x]) => (x.rank === 2 ? x : tf.reshape(tf.transpose(x, TO_NCHW), [x.shape[0], -1])),
  linear: ([x], { bias }, weight) => (bias ? tf.add(tf.matMul(x, weight('weight')), weight('bias')) : tf.matMul(x, weight('weight'))),
};

await serve(engine);
