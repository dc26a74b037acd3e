// dx[n, iy, ix, c] = sum over ky, kx and the filters f of c's group of
//   dy[n, (iy + top - ky) / sy, (ix + left - kx) / sx, f] weight[f, ky, kx, c mod CG]
// where the divisions leave no rest and the results lie inside the output. CG = C / groups.
// dy [N, OH, OW, F4], weight [F4, KH, KW, CG], dx [N, H, W, C4] as vec4f along the last dimension.
// One invocation: one pixel of dx x 4 channels, which may belong to different groups. Excess invocations return.

struct Shape {
  height: u32, width: u32, channels: u32, filters: u32, out_height: i32, out_width: i32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32, pixels: u32, groups: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

fn one_channel(image: i32, row: i32, column: i32, c: u32) -> f32 {
  if (c >= shape.channels) { return 0.0; }
  let group_channels = shape.channels / shape.groups;
  let group_filters = shape.filters / shape.groups;
  let filters4 = (shape.filters + 3u) / 4u * 4u;
  let first = c / group_channels * group_filters;
  let window = u32(shape.kernel_height * shape.kernel_width) * group_channels;
  var sum = 0.0;
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    let oy = (row - ky) / shape.stride_y;
    if (row < ky || oy >= shape.out_height || oy * shape.stride_y != row - ky) { continue; }
    for (var kx = 0; kx < shape.kernel_width; kx++) {
      let ox = (column - kx) / shape.stride_x;
      if (column < kx || ox >= shape.out_width || ox * shape.stride_x != column - kx) { continue; }
      let at = u32((image * shape.out_height + oy) * shape.out_width + ox) * filters4 + first;
      var w = first * window + u32(ky * shape.kernel_width + kx) * group_channels + c % group_channels;
      for (var f = 0u; f < group_filters; f++) {
        sum += dy[at + f] * weight[w];
        w += window;
      }
    }
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = (group.y * groups.x + group.x) * 64u + lane;
  let channels4 = (shape.channels + 3u) / 4u;
  let c = tile % channels4 * 4u;
  let pixel = tile / channels4;
  if (pixel >= shape.pixels) { return; }
  let size = shape.height * shape.width;
  let rest = pixel % size;
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) {
    values[i] = one_channel(i32(pixel / size), i32(rest / shape.width) + shape.top, i32(rest % shape.width) + shape.left, c + i);
  }
  dx[tile] = values;
}
