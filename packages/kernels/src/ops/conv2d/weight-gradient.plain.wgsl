// dweight[f, ky, kx, c] = sum over n, oy, ox of dy[n, oy, ox, f] x[n, oy sy + ky - top, ox sx + kx - left, c]
// x [N, H, W, C4], dy [N, OH, OW, F4], all as vec4f along the last dimension.
// partial [splits, F4, KH, KW, C4]: the output rows (n, oy) are cut into `splits` runs of `rows_per_split`, each summed
// into a copy of its own; sum-partials.wgsl adds the copies. With one split, partial is dweight itself.
// One invocation: 4 filters x 4 channels of one tap in one split. Excess invocations return.

struct Shape {
  height: i32, width: i32, channels4: u32, filters4: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  rows: u32, rows_per_split: u32, splits: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = (group.y * groups.x + group.x) * 64u + lane;
  let row = shape.kernel_height * shape.kernel_width * shape.channels4;
  let columns = tile % row;
  let f = tile / row % shape.filters4;
  let split = tile / row / shape.filters4;
  if (split >= shape.splits) { return; }
  let c = columns % shape.channels4;
  let tap = columns / shape.channels4;
  let dy_rows = i32(tap / shape.kernel_width) - shape.top;
  let dx_columns = i32(tap % shape.kernel_width) - shape.left;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  let end = min((split + 1u) * shape.rows_per_split, shape.rows);
  for (var r = split * shape.rows_per_split; r < end; r++) {
    let iy = i32(r % shape.out_height) * shape.stride_y + dy_rows;
    if (iy < 0 || iy >= shape.height) { continue; }
    let line = (i32(r / shape.out_height) * shape.height + iy) * shape.width;
    var out = r * shape.out_width * shape.filters4 + f;
    var ix = dx_columns;
    for (var ox = 0u; ox < shape.out_width; ox++) {
      if (ix >= 0 && ix < shape.width) {
        let value = x[u32(line + ix) * shape.channels4 + c];
        let gradient = dy[out];
        sum0 += gradient.x * value;
        sum1 += gradient.y * value;
        sum2 += gradient.z * value;
        sum3 += gradient.w * value;
      }
      out += shape.filters4;
      ix += shape.stride_x;
    }
  }
  let first = (split * shape.filters4 + f) * 4u * row + columns;
  partial[first] = sum0;
  partial[first + row] = sum1;
  partial[first + 2u * row] = sum2;
  partial[first + 3u * row] = sum3;
}
