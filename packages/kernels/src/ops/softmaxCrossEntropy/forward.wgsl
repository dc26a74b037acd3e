// losses[n] (+)= weight * (log sum_k exp(l_k) - (1 - s) l_label - s / K sum_k l_k), with l = logits - max(logits) for range.
// logits: [batch, K4] as vec4f, pads ignored. labels: [batch], 0xffffffff = no sample. losses: [batch].
// One invocation owns a sample; a workgroup 32 samples. Workgroups may exceed the work.

struct Shape { batch: u32, classes: u32, accumulate: u32, weight: f32, smoothing: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = (group.y * groups.x + group.x) * 32u + lane;
  if (n >= shape.batch) { return; }
  var loss = 0.0;
  let label = labels[n];
  if (label != 0xffffffffu) { loss = shape.weight * crossEntropy(n, label); }
  if (shape.accumulate != 0u) { loss += losses[n]; }
  losses[n] = loss;
}

fn crossEntropy(n: u32, label: u32) -> f32 {
  let vectors = (shape.classes + 3u) / 4u;
  let start = n * vectors;
  var most4 = vec4f(-3.4e38);
  for (var v = 0u; v < vectors; v++) {
    most4 = max(most4, select(vec4f(-3.4e38), logits[start + v], classOf(v) < vec4u(shape.classes)));
  }
  let most = max(max(most4.x, most4.y), max(most4.z, most4.w));
  var exps = vec4f();
  var sums = vec4f();
  var hits = vec4f();
  for (var v = 0u; v < vectors; v++) {
    let k = classOf(v);
    let shifted = logits[start + v] - most;
    let real = k < vec4u(shape.classes);
    exps += select(vec4f(), exp(shifted), real);
    sums += select(vec4f(), shifted, real);
    hits += select(vec4f(), shifted, k == vec4u(label));
  }
  let one = vec4f(1.0);
  return log(dot(exps, one)) - (1.0 - shape.smoothing) * dot(hits, one) - shape.smoothing / f32(shape.classes) * dot(sums, one);
}

fn classOf(v: u32) -> vec4u { return 4u * v + vec4u(0u, 1u, 2u, 3u); }
