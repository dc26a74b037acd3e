// dlogits[n, k] (+)= factor * 2 (logits[n, k] - teacher[n, k]), factor = weight / batch.
// logits, teacher, dlogits: [batch, K4] as vec4f, pads zero in both inputs, so zero in dlogits. labels: [batch], only to tell
// void rows (0xffffffff), whose gradient is 0. One invocation owns a sample; a workgroup 32 samples. Workgroups may exceed the work.

struct Shape { batch: u32, classes: u32, accumulate: u32, factor: f32, unused: f32 }

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
  for (var v = n * vectors; v < (n + 1u) * vectors; v++) {
    var d = select(vec4f(), 2.0 * shape.factor * (logits[v] - teacher[v]), valid);
    if (shape.accumulate != 0u) { d += dlogits[v]; }
    dlogits[v] = d;
  }
}
