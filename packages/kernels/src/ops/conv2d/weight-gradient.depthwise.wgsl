// dweight[c, ky, kx] = sum over n, oy, ox of dy[n, oy, ox, c] x[n, oy sy + ky - top, ox sx + kx - left, c]
// x [N, H, W, C4], dy [N, OH, OW, C4] as vec4f along the last dimension.
// partial [splits, C4, KH, KW] as f32: the output rows (n, oy) are cut into `splits` runs of `rows_per_split`, each summed
// into a copy of its own; sum-partials.wgsl adds the copies. With one split, partial is dweight itself.
// One invocation: 3 neighbouring taps of a kernel row for 4 channels in one split; with stride 1 a pixel of x is loaded once for
// the three. Excess invocations return.

struct Shape {
  height: i32, width: i32, channels4: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  rows: u32, rows_per_split: u32, splits: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

fn load(line: i32, ix: i32, c: u32) -> vec4f {
  let ok = ix >= 0 && ix < shape.width;
  return select(vec4f(), x[u32(line + select(0, ix, ok)) * shape.channels4 + c], ok);
}

fn store(at: u32, taps: u32, kx: u32, sum: vec4f) {
  if (kx >= shape.kernel_width) { return; }
  partial[at] = sum.x;
  partial[at + taps] = sum.y;
  partial[at + 2u * taps] = sum.z;
  partial[at + 3u * taps] = sum.w;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = (group.y * groups.x + group.x) * 64u + lane;
  let c = tile % shape.channels4;
  let threes = (shape.kernel_width + 2u) / 3u;
  let kx = tile / shape.channels4 % threes * 3u;
  let ky = tile / shape.channels4 / threes % shape.kernel_height;
  let split = tile / shape.channels4 / threes / shape.kernel_height;
  if (split >= shape.splits) { return; }
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  let end = min((split + 1u) * shape.rows_per_split, shape.rows);
  for (var r = split * shape.rows_per_split; r < end; r++) {
    let iy = i32(r % shape.out_height) * shape.stride_y + i32(ky) - shape.top;
    if (iy < 0 || iy >= shape.height) { continue; }
    let line = (i32(r / shape.out_height) * shape.height + iy) * shape.width;
    var ix = i32(kx) - shape.left;
    var v1 = load(line, ix, c);
    var v2 = load(line, ix + 1, c);
    for (var ox = 0u; ox < shape.out_width; ox++) {
      var v0 = v1;
      v1 = v2;
      if (shape.stride_x != 1 && ox > 0u) {
        v0 = load(line, ix, c);
        v1 = load(line, ix + 1, c);
      }
      v2 = load(line, ix + 2, c);
      let gradient = dy[(r * shape.out_width + ox) * shape.channels4 + c];
      sum0 += gradient * v0;
      sum1 += gradient * v1;
      sum2 += gradient * v2;
      ix += shape.stride_x;
    }
  }
  let taps = shape.kernel_height * shape.kernel_width;
  let at = (split * shape.channels4 + c) * 4u * taps + ky * shape.kernel_width + kx;
  store(at, taps, kx, sum0);
  store(at + 1u, taps, kx + 1u, sum1);
  store(at + 2u, taps, kx + 2u, sum2);
}
