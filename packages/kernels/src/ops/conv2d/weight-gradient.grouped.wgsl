// dweight[f, ky, kx, c] = sum over n, oy, ox of dy[n, oy, ox, f] x[n, oy sy + ky - top, ox sx + kx - left, group(f) CG + c]
// x [N, H, W, C4], dy [N, OH, OW, F4] in words; CG = C / groups; the rows of padded filters are set to zero.
// partial [splits, F4, KH, KW, CG]: the output rows (n, oy) are cut into `splits` runs of `rows_per_split`, each summed
// into a copy of its own; sum-partials.wgsl adds the copies. With one split, partial is dweight itself.
// One invocation: one weight in one split. Excess invocations return.

struct Shape {
  height: i32, width: i32, channels: u32, filters: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  rows: u32, rows_per_split: u32, splits: u32, groups: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let group_channels = shape.channels / shape.groups;
  let channels4 = (shape.channels + 3u) / 4u * 4u;
  let filters4 = (shape.filters + 3u) / 4u * 4u;
  let window = shape.kernel_height * shape.kernel_width * group_channels;
  let split = i / (filters4 * window);
  if (split >= shape.splits) { return; }
  let f = i / window % filters4;
  let tap = i % window / group_channels;
  var sum = 0.0;
  if (f < shape.filters) {
    let c = f / (shape.filters / shape.groups) * group_channels + i % group_channels;
    let end = min((split + 1u) * shape.rows_per_split, shape.rows);
    for (var r = split * shape.rows_per_split; r < end; r++) {
      let iy = i32(r % shape.out_height) * shape.stride_y + i32(tap / shape.kernel_width) - shape.top;
      if (iy < 0 || iy >= shape.height) { continue; }
      let line = (i32(r / shape.out_height) * shape.height + iy) * shape.width;
      for (var ox = 0u; ox < shape.out_width; ox++) {
        let ix = i32(ox) * shape.stride_x + i32(tap % shape.kernel_width) - shape.left;
        if (ix >= 0 && ix < shape.width) {
          sum += dy[(r * shape.out_width + ox) * filters4 + f] * x[u32(line + ix) * channels4 + c];
        }
      }
    }
  }
  partial[i] = sum;
}
