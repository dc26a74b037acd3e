// totals += [sum of losses, correct predictions, samples, 0] over the rows that are not void.
// logits: [batch, K4] as vec4f, pads ignored. labels: [batch], 0xffffffff = no sample. losses: [batch]. totals: [4].
// A prediction is the first class of the largest logit. Counts are exact up to 2^24 = 16.7 million samples.
// One workgroup of 64 invocations in all: invocation l takes samples l, l + 64, ...; invocation 0 adds the 64 partial sums in order.

struct Shape { batch: u32, classes: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> totals: array<vec4f>;

var<workgroup> partial: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = vec4f();
  for (var n = lane; n < shape.batch; n += 64u) {
    let label = labels[n];
    if (label != 0xffffffffu) {
      sum += vec4f(losses[n], select(0.0, 1.0, predictedClass(n) == label), 1.0, 0.0);
    }
  }
  partial[lane] = sum;
  workgroupBarrier();
  if (lane != 0u) { return; }
  var total = totals[0];
  for (var l = 0u; l < 64u; l++) { total += partial[l]; }
  totals[0] = total;
}

fn predictedClass(n: u32) -> u32 {
  let vectors = (shape.classes + 3u) / 4u;
  // Four running maxima, one a component, each with the first class that reached it; then the best of the four.
  var most = vec4f(-3.4e38);
  var at = vec4u(0u, 1u, 2u, 3u);
  for (var v = 0u; v < vectors; v++) {
    let k = 4u * v + vec4u(0u, 1u, 2u, 3u);
    let value = logits[n * vectors + v];
    let better = (value > most) & (k < vec4u(shape.classes));
    most = select(most, value, better);
    at = select(at, k, better);
  }
  var best = most.x;
  var class_ = at.x;
  for (var j = 1u; j < 4u; j++) {
    if (most[j] > best || (most[j] == best && at[j] < class_)) {
      best = most[j];
      class_ = at[j];
    }
  }
  return class_;
}
