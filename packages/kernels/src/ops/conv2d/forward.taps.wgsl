// y[n, oy, ox, f] = bias[f] + sum over ky, kx of x[n, oy sy + ky - top, ox sx + kx - left] weight[f, ky, kx], for one channel.
// x [N, H, W, 4] and weight [F4, KH, KW, 4], of which only the first of 4 words is read: a scalar load costs a quarter of a
// vec4f's. bias [F4], y [N, OH, OW, F4].
// One lane: a strip of 4 output pixels of one row, whose windows overlap: TAPS neighbouring taps of a kernel row take WINDOW
// words of x. One workgroup: one subgroup, SUBGROUP strips x ROWS filters. Weights are loaded once a subgroup (lane =
// filter) and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is a multiple of 4; STRIDE is the horizontal step. Ragged edges are guarded.
// Without a bias, `has_bias` is 0 and any buffer may stand in its place.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const TAPS = 3u;
const STRIDE = 1u;
const WINDOW = 3u * STRIDE + TAPS;
const LOADS = (ROWS + SUBGROUP - 1u) / SUBGROUP;

struct Shape {
  height: i32, width: i32, filters4: u32, out_height: u32, out_width: u32,
  kernel_height: i32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32, strips: u32, has_bias: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

fn load(line: i32, ix: i32, inside: bool) -> f32 {
  let ok = inside && ix >= 0 && ix < shape.width;
  return select(0.0, x[u32(select(0, line + ix, ok))].x, ok);
}

// 4 filters, 4 pixels in each: transposed to one vec4f a pixel. The strip's first `count` pixels exist.
fn store(pixel: u32, count: u32, f: u32, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f) {
  if (f >= shape.filters4) { return; }
  let start = select(vec4f(), bias[f], shape.has_bias != 0u);
  let out = pixel * shape.filters4 + f;
  if (count > 0u) { y[out] = start + vec4f(s0.x, s1.x, s2.x, s3.x); }
  if (count > 1u) { y[out + shape.filters4] = start + vec4f(s0.y, s1.y, s2.y, s3.y); }
  if (count > 2u) { y[out + 2u * shape.filters4] = start + vec4f(s0.z, s1.z, s2.z, s3.z); }
  if (count > 3u) { y[out + 3u * shape.filters4] = start + vec4f(s0.w, s1.w, s2.w, s3.w); }
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.filters4 * 4u + ROWS - 1u) / ROWS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * ROWS;
  let own = tile / blocks * SUBGROUP + lane;
  let strip = min(own, shape.strips - 1u);
  let strips_per_row = (shape.out_width + 3u) / 4u;
  let row = strip / strips_per_row;
  let ox = 4u * (strip % strips_per_row);
  let image = i32(row / shape.out_height) * shape.height;
  let corner_y = i32(row % shape.out_height) * shape.stride_y - shape.top;
  let corner_x = i32(ox * STRIDE) - shape.left;
  let last = shape.filters4 * 4u - 1u;
  var filters: array<u32, LOADS>;
  for (var i = 0u; i < LOADS; i++) {
    filters[i] = min(first + i * SUBGROUP + lane, last) * u32(shape.kernel_height) * shape.kernel_width;
  }
  var sums: array<vec4f, ROWS>;
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    let iy = corner_y + ky;
    let inside = iy >= 0 && iy < shape.height;
    let line = (image + iy) * shape.width;
    for (var kx = 0u; kx < shape.kernel_width; kx += TAPS) {
      var window: array<f32, WINDOW>;
      for (var j = 0u; j < WINDOW; j++) { window[j] = load(line, corner_x + i32(kx + j), inside); }
      for (var t = 0u; t < TAPS; t++) {
        let pixels = vec4f(window[t], window[t + STRIDE], window[t + 2u * STRIDE], window[t + 3u * STRIDE]);
        // The last taps of a kernel row may reach beyond it.
        let at = u32(ky) * shape.kernel_width + min(kx + t, shape.kernel_width - 1u);
        var w: array<f32, LOADS>;
        for (var i = 0u; i < LOADS; i++) { w[i] = select(0.0, weight[filters[i] + at].x, kx + t < shape.kernel_width); }
        for (var r = 0u; r < ROWS; r++) { sums[r] += subgroupShuffle(w[r / SUBGROUP], r % SUBGROUP) * pixels; }
      }
    }
  }
  let count = select(0u, min(4u, shape.out_width - ox), own < shape.strips);
  for (var q = 0u; q < ROWS / 4u; q++) {
    store(row * shape.out_width + ox, count, first / 4u + q, sums[4u * q], sums[4u * q + 1u], sums[4u * q + 2u], sums[4u * q + 3u]);
  }
}
