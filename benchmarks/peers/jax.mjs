// jax-js on WebGPU, NCHW. It is lazy: only what is waited for is computed. Arrays are counted by reference: an argument is consumed
// by the call it goes to unless `.ref` is passed.
import { readFileSync } from 'node:fs';
import { readFloats, readIntegers, serve, UnsupportedError } from '../dist/peers/serve.js';
import { provideNavigator, settle, watchErrors } from './dawn.mjs';

let jax;
let np;
/** Throws what the device met. */
let checkErrors;

const engine = {
  async open(_variant, flags) {
    const device = await provideNavigator(flags);
    jax = await import('@jax-js/jax');
    np = jax.numpy;
    const devices = await jax.init('webgpu');
    if (!devices.includes('webgpu')) throw new Error('the WebGPU backend does not start');
    jax.defaultDevice('webgpu');
    checkErrors = watchErrors(jax.getWebGPUDevice());
    // The package does not export its package.json.
    const manifest = new URL('../package.json', import.meta.resolve('@jax-js/jax'));
    const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
    return { version, device };
  },
  async prepare(peerCase) {
    switch (peerCase.kind) {
      case 'gemm':
        return repeated(
          jax.jit((a, b) => np.matmul(a, b)),
          [upload(peerCase.inputs.a), upload(peerCase.inputs.b)],
        );
      case 'conv':
        return prepareConv(peerCase);
      default:
        return prepareNetwork(peerCase);
    }
  },
};

const upload = (tensor) => np.array(readFloats(tensor)).reshape([...tensor.shape]);

/** Waits until the device has computed what was asked for. */
async function finish(value) {
  await jax.blockUntilReady(value);
  await jax.getWebGPUDevice().queue.onSubmittedWorkDone();
  await settle();
  checkErrors();
}

function repeated(compute, inputs) {
  const call = () => compute(...inputs.map((input) => jax.tree.ref(input)));
  return {
    async check() {
      return Float32Array.from(await call().data());
    },
    async run(units) {
      for (let i = 0; i < units; i++) {
        const result = call();
        if (i === units - 1) await finish(result);
        else await jax.blockUntilReady(result);
        result.dispose();
      }
    },
    async release() {
      for (const input of inputs) jax.tree.dispose(input);
    },
  };
}

const SAME = [
  [1, 1],
  [1, 1],
];

function prepareConv({ inputs, pass }) {
  const { lax } = jax;
  const conv = (x, weight) => lax.convGeneralDilated(x, weight, [1, 1], SAME);
  // As the gradients of a convolution: dx is one with the filters turned, dweight one over the batch.
  const kernels = {
    forward: [conv, inputs.x, inputs.weight],
    'input-gradient': [(dy, weight) => conv(dy, np.flip(np.transpose(weight, [1, 0, 2, 3]), [2, 3])), inputs.dy, inputs.weight],
    'weight-gradient': [
      (x, dy) => np.transpose(conv(np.transpose(x, [1, 0, 2, 3]), np.transpose(dy, [1, 0, 2, 3])), [1, 0, 2, 3]),
      inputs.x,
      inputs.dy,
    ],
  };
  const [compute, first, second] = kernels[pass];
  return repeated(jax.jit(compute), [upload(first), upload(second)]);
}

async function prepareNetwork(peerCase) {
  const { momentum, kind, classes } = peerCase;
  const weights = Object.fromEntries(Object.entries(peerCase.weights).map(([name, file]) => [name, upload(file)]));
  const x = upload(peerCase.inputs.x);
  if (kind === 'eval')
    return repeated(
      jax.jit((w, images) => runNetwork(peerCase, w, images, false)),
      [weights, x],
    );

  const labels = readIntegers(peerCase.inputs.labels);
  const hot = new Float32Array(labels.length * classes);
  labels.forEach((label, row) => (hot[row * classes + label] = 1));
  const oneHot = np.array(hot).reshape([labels.length, classes]);
  const statistics = Object.keys(weights).filter((name) => name.includes('.running_'));
  for (const name of statistics) {
    weights[name].dispose();
    delete weights[name];
  }
  const loss = (w, images, wanted) => {
    const logits = runNetwork(peerCase, w, images, true);
    return np.mean(np.sum(wanted.mul(jax.nn.logSoftmax(logits, -1)), -1)).mul(-1);
  };
  const step = jax.jit((w, velocity, images, wanted, rate) => {
    const [value, gradients] = jax.valueAndGrad(loss)(jax.tree.ref(w), images, wanted);
    const moved = jax.tree.map((v, g) => v.mul(momentum).add(g), velocity, gradients);
    const next = jax.tree.map((p, v) => p.sub(v.mul(rate.ref)), w, jax.tree.ref(moved));
    rate.dispose();
    return [value, next, moved];
  });
  let state = [weights, jax.tree.map((w) => np.zerosLike(w), jax.tree.ref(weights))];
  const train = async (rate) => {
    const [value, next, velocity] = step(state[0], state[1], x.ref, oneHot.ref, np.array(rate));
    state = [next, velocity];
    await jax.blockUntilReady(state);
    return value;
  };
  return {
    async check() {
      const losses = new Float32Array(peerCase.checkSteps);
      for (let i = 0; i < losses.length; i++) losses[i] = (await (await train(peerCase.checkRate)).data())[0];
      return losses;
    },
    async run(units) {
      for (let i = 0; i < units; i++) (await train(peerCase.timedRate)).dispose();
      await finish(state);
    },
    async release() {
      jax.tree.dispose(state);
      x.dispose();
      oneHot.dispose();
    },
  };
}

/** Interprets the nodes; returns the logits. Consumes weights and x. */
function runNetwork({ nodes, inputId }, weights, x, training) {
  const uses = {};
  for (const { inputs } of nodes) for (const id of inputs) uses[id] = (uses[id] ?? 0) + 1;
  const values = { [inputId]: x };
  /** The last use consumes. */
  const take = (id) => (--uses[id] > 0 ? values[id].ref : values[id]);
  for (const { id, type, inputs, attributes } of nodes) {
    const node = layers[type];
    if (node === undefined) throw new UnsupportedError(`no layer "${type}" here`);
    values[id] = node(inputs.map(take), attributes, (name) => weights[`${id}.${name}`], training);
  }
  return values[nodes.at(-1).id];
}

const perChannel = (vector) => vector.reshape([1, -1, 1, 1]);

const layers = {
  conv2d([x], { stride, padding, groups, bias }, weight) {
    const [top, left, bottom, right] = padding;
    const edges = [
      [top, bottom],
      [left, right],
    ];
    const y = jax.lax.convGeneralDilated(x, weight('weight'), stride, edges, { featureGroupCount: groups });
    return bias ? y.add(perChannel(weight('bias'))) : y;
  },
  'batch-norm'([x], { epsilon }, weight, training) {
    const axes = [0, 2, 3];
    let centred;
    let variance;
    if (training) {
      centred = x.ref.sub(np.mean(x, axes, { keepdims: true }));
      variance = np.mean(np.square(centred.ref), axes, { keepdims: true });
    } else {
      centred = x.sub(perChannel(weight('running_mean')));
      variance = perChannel(weight('running_var'));
    }
    return centred
      .div(np.sqrt(variance.add(epsilon)))
      .mul(perChannel(weight('weight')))
      .add(perChannel(weight('bias')));
  },
  relu: ([x]) => jax.nn.relu(x),
  'max-pool'([x], { kernel, stride }) {
    const [n, c, height, width] = x.shape;
    const [kh, kw] = kernel;
    if (kh !== stride[0] || kw !== stride[1] || height % kh > 0 || width % kw > 0)
      throw new UnsupportedError('no overlapping max-pool here');
    return np.max(x.reshape([n, c, height / kh, kh, width / kw, kw]), [3, 5]);
  },
  'global-average-pool': ([x]) => np.mean(x, [2, 3]),
  add: (inputs) => inputs.reduce((sum, one) => sum.add(one)),
  flatten: ([x]) => x.reshape([x.shape[0], -1]),
  linear([x], { bias }, weight) {
    const y = np.matmul(x, np.transpose(weight('weight')));
    return bias ? y.add(weight('bias')) : y;
  },
};

await serve(engine);
