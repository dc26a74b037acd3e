// One step of Adam (L2 decay) or AdamW (decoupled decay) over flat arrays of vec4f, the t-th that is not skipped:
//   Adam: g = gradients + decay * p.  AdamW: p -= rate * decay * p.
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  p -= rate * m c1 / (sqrt(v c2) + epsilon).
// parameters, firstMoment, secondMoment, gradients: [size]. schedule: [steps] vec4f (rate, c1 = 1 / (1 - beta1^t),
// c2 = 1 / (1 - beta2^t), steps skipped before the first), t as if none were skipped from the first on. clock: [4], word 0 = step.
// Past the end of the schedule its last entry holds. With `scaled`, scaling: (scale, unscale, -, skipped steps): gradients are
// taken times unscale, and where that is 0 nothing is changed; c1 and c2 are those of as many entries before as steps were
// skipped since the first. Otherwise any buffer may stand in its place.
// One invocation: 4 vec4f, 64 apart. One workgroup: 256 vec4f. Workgroups may exceed the work: the tail is guarded.

struct Shape {
  vectors: u32, steps: u32, decoupled: u32, scaled: u32,
  beta1: f32, rest1: f32, beta2: f32, rest2: f32, epsilon: f32, decay: f32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> firstMoment: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> secondMoment: array<vec4f>;
@group(0) @binding(4) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(5) var<storage, read> schedule: array<vec4f>;
@group(0) @binding(6) var<storage, read> clock: array<u32>;
@group(0) @binding(7) var<storage, read> scaling: vec4f;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * 256u + lane;
  let step = min(clock[0], shape.steps - 1u);
  let entry = schedule[step];
  let skipped = select(0u, u32(max(0.0, scaling.w - entry.w)), shape.scaled != 0u);
  let correction = schedule[step - min(step, skipped)].yz;
  let decoupled = shape.decoupled != 0u;
  let keep = select(1.0, 1.0 - entry.x * shape.decay, decoupled);
  let penalty = select(shape.decay, 0.0, decoupled);
  let unscale = select(1.0, scaling.y, shape.scaled != 0u);
  if (unscale == 0.0) { return; }
  for (var i = base; i < min(base + 256u, shape.vectors); i += 64u) {
    let p = parameters[i];
    let g = unscale * gradients[i] + penalty * p;
    let m = shape.beta1 * firstMoment[i] + shape.rest1 * g;
    let v = shape.beta2 * secondMoment[i] + shape.rest2 * g * g;
    firstMoment[i] = m;
    secondMoment[i] = v;
    parameters[i] = keep * p - entry.x * (m * correction.x) / (sqrt(v * correction.y) + shape.epsilon);
  }
}
