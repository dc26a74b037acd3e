// scaling.unscale = 0 where a gradient is infinite or no number; else it stays.
// gradients: [size] as vec4u, the bits of f32: compilers may take it that a float is finite, of bits they may not.
// found: [workgroups], scratch: 1 where a workgroup found such a number. scaling: [4] = (scale, unscale, good steps, skipped steps).
// main: a workgroup of 64 invocations takes the vectors workgroup * 64 + lane + i * stride.
// conclude: one workgroup of 64 invocations reads all of `found`.

struct Shape { vectors: u32, workgroups: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> gradients: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> found: array<u32>;
@group(0) @binding(3) var<storage, read_write> scaling: vec4f;

const EXPONENT = vec4u(0x7f800000u);

var<workgroup> lanes: array<u32, 64>;

// Whether any lane of the workgroup found one; known to lane 0.
fn anyOf(lane: u32, hit: bool) -> bool {
  lanes[lane] = select(0u, 1u, hit);
  workgroupBarrier();
  var all = 0u;
  if (lane == 0u) { for (var l = 0u; l < 64u; l++) { all |= lanes[l]; } }
  return all != 0u;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var hit = false;
  for (var i = group.x * 64u + lane; i < shape.vectors; i += shape.workgroups * 64u) {
    hit = hit || any((gradients[i] & EXPONENT) == EXPONENT);
  }
  let all = anyOf(lane, hit);
  if (lane == 0u) { found[group.x] = select(0u, 1u, all); }
}

@compute @workgroup_size(64)
fn conclude(@builtin(local_invocation_index) lane: u32) {
  var hit = false;
  for (var i = lane; i < shape.workgroups; i += 64u) { hit = hit || found[i] != 0u; }
  if (anyOf(lane, hit) && lane == 0u) { scaling.y = 0.0; }
}
