// losses[n] (+)= weight * sum_k (logits[n, k] - teacher[n, k])^2.
// logits, teacher: [batch, K4] as vec4f, pads zero in both. labels: [batch], only to tell void rows (0xffffffff). losses: [batch].
// One invocation owns a sample; a workgroup 32 samples. Workgroups may exceed the work.

struct Shape { batch: u32, classes: u32, accumulate: u32, weight: f32, unused: f32 }

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
  if (labels[n] != 0xffffffffu) {
    let vectors = (shape.classes + 3u) / 4u;
    var sums = vec4f();
    for (var v = n * vectors; v < (n + 1u) * vectors; v++) {
      let difference = logits[v] - teacher[v];
      sums += difference * difference;
    }
    loss = shape.weight * dot(sums, vec4f(1.0));
  }
  if (shape.accumulate != 0u) { loss += losses[n]; }
  losses[n] = loss;
}
