// Accuracy of an .onnx file on CIFAR-10's test images in ONNX Runtime: none of n2n's code takes part.
//
//   node check.mjs MODEL.onnx cifar-10-batches-bin [--mean R,G,B] [--std R,G,B] [--result RUN/result.json]
//
// Prints {accuracy, loss, samples} as JSON, as `n2n eval --json` does. With --result also the accuracy that n2n reports of the student
// and the difference in points; exits with 1 if that is over 0.05.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const TOLERANCE_POINTS = 0.05;
const PIXELS = 3 * 32 * 32;
const AREA = 32 * 32;
const BATCH = 500;

/** Records of 1 label byte and 3,072 pixel bytes (R, G, B planes) -> inputs [n, 3, 32, 32] and labels of those from `first` on. */
function batchOf(records, first, count, mean, std) {
  const data = new Float32Array(count * PIXELS);
  const labels = [];
  for (let i = 0; i < count; i++) {
    const at = (first + i) * (PIXELS + 1);
    labels.push(records[at]);
    for (let p = 0; p < PIXELS; p++) {
      const channel = Math.floor(p / AREA);
      data[i * PIXELS + p] = (records[at + 1 + p] / 255 - mean[channel]) / std[channel];
    }
  }
  return { input: new Tensor('float32', data, [count, 3, 32, 32]), labels };
}

/** Whether the label's logit is the largest, and -log softmax of it. */
function judge(logits, label) {
  const largest = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return { correct: logits.indexOf(largest) === label, loss: Math.log(sum) + largest - logits[label] };
}

async function evaluate(model, records, mean, std) {
  const session = await InferenceSession.create(model);
  const samples = records.length / (PIXELS + 1);
  let [correct, loss] = [0, 0];
  for (let first = 0; first < samples; first += BATCH) {
    const { input, labels } = batchOf(records, first, Math.min(BATCH, samples - first), mean, std);
    const { [session.outputNames[0]]: output } = await session.run({ [session.inputNames[0]]: input });
    const classes = output.dims[1];
    for (const [i, label] of labels.entries()) {
      const judged = judge(Array.from(output.data.slice(i * classes, (i + 1) * classes)), label);
      correct += judged.correct ? 1 : 0;
      loss += judged.loss;
    }
  }
  return { accuracy: correct / samples, loss: loss / samples, samples };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mean: { type: 'string', default: '0.4914,0.4822,0.4465' },
    std: { type: 'string', default: '0.247,0.2435,0.2616' },
    result: { type: 'string' },
  },
});
const [model, folder] = positionals;
if (model === undefined || folder === undefined) throw new Error('needs a model and the folder of CIFAR-10, binary version');
const numbers = (text) => text.split(',').map(Number);
const reported = values.result && JSON.parse(readFileSync(values.result, 'utf8')).student.accuracy;
const figures = await evaluate(model, readFileSync(join(folder, 'test_batch.bin')), numbers(values.mean), numbers(values.std));
if (values.result === undefined) {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
} else {
  const differencePoints = 100 * (figures.accuracy - reported);
  process.stdout.write(`${JSON.stringify({ ...figures, reported, differencePoints })}\n`);
  if (!(Math.abs(differencePoints) <= TOLERANCE_POINTS + 1e-9)) process.exitCode = 1;
}
