// db[n, c] = sum over the image's pixels p of a[n, p, c] * dy[n, p, c], in the order of the pixels.
// a, dy: [N, positions, perRow] vec4f; db: [N, perRow] vec4f, `vectors` in all. One invocation: one vector of db.
// Workgroups may exceed the work.

struct Shape { vectors: u32, positions: u32, perRow: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> a: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> db: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= shape.vectors) {
    return;
  }
  let image = i / shape.perRow;
  var at = image * shape.positions * shape.perRow + i - image * shape.perRow;
  var sum = vec4f();
  for (var p = 0u; p < shape.positions; p++) {
    sum += a[at] * dy[at];
    at += shape.perRow;
  }
  db[i] = sum;
}
