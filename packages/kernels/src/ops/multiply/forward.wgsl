// y = a * b over a flat array of vec4f; with perImage > 0, b has one row of perRow vectors for each image of perImage vectors.
// One workgroup: `share` vectors, a multiple of 64; one invocation: every 64th of them. Workgroups may exceed the work.

struct Shape { vectors: u32, share: u32, perRow: u32, perImage: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> a: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * shape.share;
  let end = min(base + shape.share, shape.vectors);
  for (var i = base + lane; i < end; i += 64u) {
    var factor = i;
    if (shape.perImage > 0u) {
      factor = (i / shape.perImage) * shape.perRow + i % shape.perRow;
    }
    y[i] = a[i] * b[factor];
  }
}
