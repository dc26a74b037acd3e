// y[n, oy, ox, f] = g(sum over ky, kx, c of x[n, oy sy + ky - top, ox sx + kx - left, c] weight[f, ky, kx, c]) with
// g(s) = s factor[f] + term[f], behind it the ReLU if `relu`; then the largest of each 2x2 pixels if `side` is 2, not 1.
// x [N, H, W, C4], weight [F4, KH, KW, C4], y [N, OH / side, OW / side, F4], all as vec4f along the last dimension.
// `terms` [F4], behind it the factors: `has` says how many of the two there are; for 0 any buffer may stand in its place.
// An implicit matrix product in registers. One lane: 4 output pixels in a row, or pooled in a square, loaded along c; one workgroup: one
// subgroup, 4 SUBGROUP pixels x ROWS filters. Weights are loaded once a subgroup (lane = filter) and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is a multiple of 4. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const LOADS = (ROWS + SUBGROUP - 1u) / SUBGROUP;

struct Shape {
  height: i32, width: i32, channels4: u32, filters4: u32, out_height: u32, out_width: u32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32, outputs: u32, has: u32,
  relu: u32, side: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> terms: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

// The window's top left corner in x (may lie outside) and the image's first row, for pixel k of the 4 of the outputs from `first` on.
fn corner(first: u32, k: u32) -> vec3i {
  let pooled = shape.side == 2u;
  let at = min(select(first + k, first, pooled), shape.outputs - 1u);
  let grid = vec2u(shape.out_height, shape.out_width) / shape.side;
  let rest = at % (grid.x * grid.y);
  let pixel = vec2i(vec2u(rest / grid.y, rest % grid.y) * shape.side + select(vec2u(), vec2u(k / 2u, k % 2u), pooled));
  return vec3i(i32(at / (grid.x * grid.y)) * shape.height,
    pixel.x * shape.stride_y - shape.top, pixel.y * shape.stride_x - shape.left);
}

// The vec4f index of one tap's first channels, or -1 on padding.
fn tap_address(at: vec3i, ky: i32, kx: i32) -> i32 {
  let iy = at.y + ky;
  let ix = at.z + kx;
  let inside = iy >= 0 && iy < shape.height && ix >= 0 && ix < shape.width;
  return select(-1, ((at.x + iy) * shape.width + ix) * i32(shape.channels4), inside);
}

fn load(address: i32, c: u32) -> vec4f {
  return select(vec4f(), x[u32(max(address, 0)) + c], address >= 0);
}

// g of a pixel's sums.
fn finish(sum: vec4f, factor: vec4f, term: vec4f) -> vec4f {
  let value = sum * factor + term;
  return select(value, vec4f(), vec4<bool>(shape.relu != 0u) & (value <= vec4f()));
}

// The larger one; a NaN wins, told by its bits as a compiler may take `v != v` for false.
fn larger(a: vec4f, b: vec4f) -> vec4f {
  let nan = (bitcast<vec4u>(b) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
  return select(a, b, (b > a) | nan);
}

// 4 filters, 4 pixels in each: `pixels` holds a filter a column.
fn store(output: u32, f: u32, pixels: mat4x4f, factor: vec4f, term: vec4f) {
  if (f >= shape.filters4) { return; }
  let by_pixel = transpose(pixels);
  let y0 = finish(by_pixel[0], factor, term);
  let y1 = finish(by_pixel[1], factor, term);
  let y2 = finish(by_pixel[2], factor, term);
  let y3 = finish(by_pixel[3], factor, term);
  let at = output * shape.filters4 + f;
  if (shape.side == 2u) {
    if (output < shape.outputs) { y[at] = larger(larger(larger(y0, y1), y2), y3); }
    return;
  }
  if (output < shape.outputs) { y[at] = y0; }
  if (output + 1u < shape.outputs) { y[at + shape.filters4] = y1; }
  if (output + 2u < shape.outputs) { y[at + 2u * shape.filters4] = y2; }
  if (output + 3u < shape.outputs) { y[at + 3u * shape.filters4] = y3; }
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.filters4 * 4u + ROWS - 1u) / ROWS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * ROWS;
  let output = (tile / blocks * SUBGROUP + lane) * select(4u, 1u, shape.side == 2u);
  let at0 = corner(output, 0u);
  let at1 = corner(output, 1u);
  let at2 = corner(output, 2u);
  let at3 = corner(output, 3u);
  let row = u32(shape.kernel_height * shape.kernel_width) * shape.channels4;
  let last = shape.filters4 * 4u - 1u;
  var rows: array<u32, LOADS>;
  for (var i = 0u; i < LOADS; i++) { rows[i] = min(first + i * SUBGROUP + lane, last) * row; }
  var sums: array<vec4f, ROWS>;
  var tap = 0u;
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    for (var kx = 0; kx < shape.kernel_width; kx++) {
      let tap0 = tap_address(at0, ky, kx);
      let tap1 = tap_address(at1, ky, kx);
      let tap2 = tap_address(at2, ky, kx);
      let tap3 = tap_address(at3, ky, kx);
      for (var c = 0u; c < shape.channels4; c++) {
        let m = mat4x4f(load(tap0, c), load(tap1, c), load(tap2, c), load(tap3, c));
        var w: array<vec4f, LOADS>;
        for (var i = 0u; i < LOADS; i++) { w[i] = weight[rows[i] + tap + c]; }
        for (var r = 0u; r < ROWS; r++) { sums[r] += subgroupShuffle(w[r / SUBGROUP], r % SUBGROUP) * m; }
      }
      tap += shape.channels4;
    }
  }
  let own = min(first / 4u + lane, shape.filters4 - 1u);
  let term = select(vec4f(), terms[own], shape.has > 0u);
  var factor = vec4f(1.0);
  if (shape.has > 1u) { factor = terms[shape.filters4 + own]; }
  for (var q = 0u; q < ROWS / 4u; q++) {
    let pixels = mat4x4f(sums[4u * q], sums[4u * q + 1u], sums[4u * q + 2u], sums[4u * q + 3u]);
    store(output, first / 4u + q, pixels, subgroupShuffle(factor, q), subgroupShuffle(term, q));
  }
}
