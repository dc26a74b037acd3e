// gradient *= scale. gradient: [size] as vec4f. scaling: [4] = (scale, unscale, good steps, skipped steps).
// One invocation: 4 vec4f, 64 apart. One workgroup: 256 vec4f. Workgroups may exceed the work: the tail is guarded.

struct Shape { vectors: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> scaling: vec4f;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * 256u + lane;
  for (var i = base; i < min(base + 256u, shape.vectors); i += 64u) { gradient[i] *= scaling.x; }
}
