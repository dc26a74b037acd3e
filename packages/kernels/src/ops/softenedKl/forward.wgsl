// losses[n] (+)= weight * T^2 sum_k p_k (log p_k - log q_k), p = softmax(teacher / T), q = softmax(logits / T).
// logits, teacher: [batch, K4] as vec4f, pads ignored. labels: [batch], only to tell void rows (0xffffffff). losses: [batch].
// With t = (teacher - max) / T, l likewise and P, Q the sums of exp: sum p (t - l) - log P + log Q.
// One invocation owns a sample; a workgroup 32 samples. Workgroups may exceed the work.

struct Shape { batch: u32, classes: u32, accumulate: u32, weight: f32, temperature: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> teacher: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> labels: array<u32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = (group.y * groups.x + group.x) * 32u + lane;
  if (n >= shape.batch) { return; }
  var loss = 0.0;
  if (labels[n] != 0xffffffffu) { loss = shape.weight * shape.temperature * shape.temperature * divergence(n); }
  if (shape.accumulate != 0u) { loss += losses[n]; }
  losses[n] = loss;
}

fn divergence(n: u32) -> f32 {
  let vectors = (shape.classes + 3u) / 4u;
  let start = n * vectors;
  let lowest = vec4f(-3.4e38);
  var most4 = lowest;
  var mostTeacher4 = lowest;
  for (var v = 0u; v < vectors; v++) {
    let real = classOf(v) < vec4u(shape.classes);
    most4 = max(most4, select(lowest, logits[start + v], real));
    mostTeacher4 = max(mostTeacher4, select(lowest, teacher[start + v], real));
  }
  let most = largest(most4);
  let mostTeacher = largest(mostTeacher4);
  var exps = vec4f();
  var teacherExps = vec4f();
  var products = vec4f();
  for (var v = 0u; v < vectors; v++) {
    let real = classOf(v) < vec4u(shape.classes);
    let l = (logits[start + v] - most) / shape.temperature;
    let t = (teacher[start + v] - mostTeacher) / shape.temperature;
    let p = select(vec4f(), exp(t), real);
    exps += select(vec4f(), exp(l), real);
    teacherExps += p;
    products += p * (t - l);
  }
  let teacherSum = total(teacherExps);
  return total(products) / teacherSum - log(teacherSum) + log(total(exps));
}

fn classOf(v: u32) -> vec4u { return 4u * v + vec4u(0u, 1u, 2u, 3u); }
fn largest(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
fn total(v: vec4f) -> f32 { return dot(v, vec4f(1.0)); }
