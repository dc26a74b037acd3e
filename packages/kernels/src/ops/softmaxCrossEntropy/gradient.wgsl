// dlogits[n, k] (+)= factor * (softmax(logits[n])_k - (1 - s) [k = label] - s / K), factor = weight / batch.
// logits, dlogits: [batch, K4] as vec4f; pads of dlogits get 0. labels: [batch], 0xffffffff = no sample: gradient 0.
// One invocation owns a sample; a workgroup 32 samples. Workgroups may exceed the work.

struct Shape { batch: u32, classes: u32, accumulate: u32, factor: f32, smoothing: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> dlogits: array<vec4f>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = (group.y * groups.x + group.x) * 32u + lane;
  if (n >= shape.batch) { return; }
  let vectors = (shape.classes + 3u) / 4u;
  let start = n * vectors;
  let label = labels[n];
  let valid = label != 0xffffffffu;
  var most4 = vec4f(-3.4e38);
  for (var v = 0u; v < vectors; v++) {
    most4 = max(most4, select(vec4f(-3.4e38), logits[start + v], classOf(v) < vec4u(shape.classes)));
  }
  let most = max(max(most4.x, most4.y), max(most4.z, most4.w));
  var exps = vec4f();
  for (var v = 0u; v < vectors; v++) {
    exps += select(vec4f(), exp(logits[start + v] - most), classOf(v) < vec4u(shape.classes));
  }
  let scale = 1.0 / dot(exps, vec4f(1.0));
  for (var v = 0u; v < vectors; v++) {
    let k = classOf(v);
    let even = vec4f(shape.smoothing / f32(shape.classes));
    let expected = even + select(vec4f(), vec4f(1.0 - shape.smoothing), k == vec4u(label));
    var d = shape.factor * (exp(logits[start + v] - most) * scale - expected);
    d = select(vec4f(), d, (k < vec4u(shape.classes)) & vec4<bool>(valid));
    if (shape.accumulate != 0u) { d += dlogits[start + v]; }
    dlogits[start + v] = d;
  }
}

fn classOf(v: u32) -> vec4u { return 4u * v + vec4u(0u, 1u, 2u, 3u); }
