// dx[n, p, c] = dy[n, c] / P for each of the P = H * W pixels.
//
// dy [N, V], dx [N, P, V] of vec4f.
// One invocation: one vector of channels of up to 8 pixels. Invocations are ordered [N, P / 8, V]. Workgroups may exceed
// the work.

struct Shape { batch: u32, pixels: u32, vectors: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

const STRIP = 8u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let id = (group.y * groups.x + group.x) * 64u + lane;
  let strips = (shape.pixels + STRIP - 1u) / STRIP;
  let cell = id / shape.vectors;
  let v = id - cell * shape.vectors;
  let n = cell / strips;
  let first = (cell - n * strips) * STRIP;
  if (n >= shape.batch) { return; }
  let share = dy[n * shape.vectors + v] / f32(shape.pixels);
  for (var p = first; p < min(first + STRIP, shape.pixels); p++) {
    dx[(n * shape.pixels + p) * shape.vectors + v] = share;
  }
}
