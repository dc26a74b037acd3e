// dbias[f] = sum over pixels of dy[pixel, f]
// dy [pixels, F4], partial [chunks, F4], as vec4f: each chunk of `chunk` pixels is summed apart; sum-partials.wgsl adds them.
// With one chunk, partial is dbias itself. One invocation: 4 filters of one chunk. Excess invocations return.

struct Shape { pixels: u32, filters4: u32, chunk: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let first = i / shape.filters4 * shape.chunk;
  if (first >= shape.pixels) { return; }
  var sum = vec4f();
  let end = min(first + shape.chunk, shape.pixels);
  for (var pixel = first; pixel < end; pixel++) { sum += dy[pixel * shape.filters4 + i % shape.filters4]; }
  partial[i] = sum;
}
