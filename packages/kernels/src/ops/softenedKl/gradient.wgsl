// dlogits[n, k] (+)= factor * T (q_k - p_k), p = softmax(teacher / T), q = softmax(logits / T), factor = weight / batch.
// logits, teacher, dlogits: [batch, K4] as vec4f; pads of dlogits get 0. labels: [batch], only to tell void rows (0xffffffff),
// whose gradient is 0. One invocation owns a sample; a workgroup 32 samples. Workgroups may exceed the work.

struct Shape { batch: u32, classes: u32, accumulate: u32, factor: f32, temperature: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> teacher: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> labels: array<u32>;
@group(0) @binding(4) var<storage, read_write> dlogits: array<vec4f>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = (group.y * groups.x + group.x) * 32u + lane;
  if (n >= shape.batch) { return; }
  let valid = labels[n] != 0xffffffffu;
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
  for (var v = 0u; v < vectors; v++) {
    let real = classOf(v) < vec4u(shape.classes);
    exps += select(vec4f(), exp((logits[start + v] - most) / shape.temperature), real);
    teacherExps += select(vec4f(), exp((teacher[start + v] - mostTeacher) / shape.temperature), real);
  }
  let sum = dot(exps, vec4f(1.0));
  let teacherSum = dot(teacherExps, vec4f(1.0));
  for (var v = 0u; v < vectors; v++) {
    let q = exp((logits[start + v] - most) / shape.temperature) / sum;
    let p = exp((teacher[start + v] - mostTeacher) / shape.temperature) / teacherSum;
    let real = (classOf(v) < vec4u(shape.classes)) & vec4<bool>(valid);
    var d = select(vec4f(), shape.factor * shape.temperature * (q - p), real);
    if (shape.accumulate != 0u) { d += dlogits[start + v]; }
    dlogits[start + v] = d;
  }
}

fn classOf(v: u32) -> vec4u { return 4u * v + vec4u(0u, 1u, 2u, 3u); }
fn largest(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
