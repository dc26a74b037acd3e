// total[i] = sum over s of partial[s, i], in the order of s: the end of every split sum here.
// partial [splits, vectors], total [vectors], as vec4f. One invocation: one vec4f. Excess invocations return.

struct Shape { vectors: u32, splits: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> partial: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> total: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= shape.vectors) { return; }
  var sum = partial[i];
  for (var s = 1u; s < shape.splits; s++) { sum += partial[s * shape.vectors + i]; }
  total[i] = sum;
}
