// dweight[f, ky, kx, c] = sum over n, oy, ox of dy[n, oy, ox, f] x[n, oy sy + ky - top, ox sx + kx - left, c]
// x [N, H, W, C4], dy [N, OH, OW, F4], partial [splits, F4, KH, KW, C4], as vec4f along the last dimension. With one split,
// partial is dweight itself; otherwise sum-partials.wgsl adds the copies.
// An implicit matrix product for discrete GPUs, made like forward.tiled.wgsl: taps and channels (a row is a vec4f of one
// tap) x filters, summed over output pixels in steps of 8.
// One workgroup: 32 vec4f of rows x 8 ACROSS filters over `steps_per_split` steps of one split (workgroup_id.z).
// One invocation: 2 vec4f of rows x 8 filters, which lie 16 vec4f and 4 ACROSS filters apart.
// Preconditions: ACROSS is 16 or 4. Ragged edges are guarded.

// What operands are kept as in workgroup memory, and so rounded to; sums are f32 in any case.
alias Staged = vec4f;
const ACROSS = 16u;
const THREADS = 16u * ACROSS;
// vec4f of x that an invocation loads a step, of pixels 8 / LOADS apart; of dy it loads one.
const LOADS = 16u / ACROSS;

struct Shape {
  height: i32, width: i32, channels4: u32, filters4: u32, out_height: i32, out_width: i32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  pixels: u32, steps: u32, steps_per_split: u32,
}

struct Sums { a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

// [buffer, pixel of the step, vec4f]
var<workgroup> rows: array<Staged, 512>;
var<workgroup> columns: array<Staged, 32u * ACROSS>;

// Image, row and column of an output pixel.
fn position(pixel: u32) -> vec3i {
  let line = i32(pixel) / shape.out_width;
  return vec3i(line / shape.out_height, line % shape.out_height, i32(pixel) % shape.out_width);
}

// One step ahead.
fn advance(at: vec3i) -> vec3i {
  var next = at + vec3i(0, 0, 8);
  while (next.z >= shape.out_width) {
    next = vec3i(select(next.xy + vec2i(0, 1), vec2i(next.x + 1, 0), next.y + 1 == shape.out_height), next.z - shape.out_width);
  }
  return next;
}

// `tap` is (ky - top, kx - left, vec4f of channels).
fn load(at: vec3i, tap: vec3i, inside: bool) -> vec4f {
  let iy = at.y * shape.stride_y + tap.x;
  let ix = at.z * shape.stride_x + tap.y;
  let ok = inside && u32(iy) < u32(shape.height) && u32(ix) < u32(shape.width);
  let address = ((at.x * shape.height + iy) * shape.width + ix) * i32(shape.channels4) + tap.z;
  return select(vec4f(), x[u32(select(0, address, ok))], ok);
}

// The sums of 4 filters (a column each) over 4 channels, and one pixel more.
fn add_block(sum: mat4x4f, row: vec4f, column: vec4f) -> mat4x4f {
  return mat4x4f(fma(row, vec4f(column.x), sum[0]), fma(row, vec4f(column.y), sum[1]),
    fma(row, vec4f(column.z), sum[2]), fma(row, vec4f(column.w), sum[3]));
}

fn store(split: u32, r: u32, f: u32, sum: mat4x4f) {
  let row = shape.kernel_height * shape.kernel_width * shape.channels4;
  if (r >= row || f >= shape.filters4) { return; }
  let at = (split * shape.filters4 + f) * 4u * row + r;
  partial[at] = sum[0];
  partial[at + row] = sum[1];
  partial[at + 2u * row] = sum[2];
  partial[at + 3u * row] = sum[3];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let blocks = (shape.filters4 + 2u * ACROSS - 1u) / (2u * ACROSS);
  let row_length = shape.kernel_height * shape.kernel_width * shape.channels4;
  let tile = group.y * groups.x + group.x;
  let r = tile / blocks * 32u;
  let f = tile % blocks * 2u * ACROSS;
  if (r >= row_length) { return; }
  // 32 invocations cover 8 vec4f of rows and 4 of filters.
  let down = lane % 8u + lane / 32u % 2u * 8u;
  let across = lane / 8u % 4u + lane / 64u * 4u;
  // What this invocation loads: the same vec4f of a row for LOADS pixels, and one vec4f of filters.
  let own = min(r + lane % 32u, row_length - 1u);
  let spot = own / shape.channels4;
  let tap = vec3i(i32(spot / shape.kernel_width) - shape.top, i32(spot % shape.kernel_width) - shape.left, i32(own % shape.channels4));
  let filters = min(f + lane % (2u * ACROSS), shape.filters4 - 1u);
  let start = group.z * shape.steps_per_split;
  let end = min(start + shape.steps_per_split, shape.steps);
  var pixel = 8u * start + lane / 32u;
  var dy_pixel = 8u * start + lane / (2u * ACROSS);
  var at0 = position(pixel);
  var at1 = position(pixel + 2u);
  var at2 = position(pixel + 4u);
  var at3 = position(pixel + 6u);
  var sums: Sums;
  // Each turn loads step t + 1 and uses step t; the first only loads.
  for (var t = i32(start) - 1; t < i32(end); t++) {
    let more = t + 1 < i32(end);
    let buffer = u32(t) & 1u;
    var v = mat4x4f();
    var w = vec4f();
    if (more) {
      w = select(vec4f(), dy[min(dy_pixel, shape.pixels - 1u) * shape.filters4 + filters], dy_pixel < shape.pixels);
      v[0] = load(at0, tap, pixel < shape.pixels);
      at0 = advance(at0);
      if (LOADS > 1u) {
        v[1] = load(at1, tap, pixel + 2u < shape.pixels);
        v[2] = load(at2, tap, pixel + 4u < shape.pixels);
        v[3] = load(at3, tap, pixel + 6u < shape.pixels);
        at1 = advance(at1);
        at2 = advance(at2);
        at3 = advance(at3);
      }
      pixel += 8u;
      dy_pixel += 8u;
    }
    if (t >= i32(start)) {
      for (var i = 0u; i < 8u; i++) {
        let row_at = 256u * buffer + 32u * i + down;
        let column_at = 2u * ACROSS * (8u * buffer + i) + across;
        let a0 = vec4f(rows[row_at]);
        let a1 = vec4f(rows[row_at + 16u]);
        let b0 = vec4f(columns[column_at]);
        let b1 = vec4f(columns[column_at + ACROSS]);
        sums = Sums(add_block(sums.a, a0, b0), add_block(sums.b, a0, b1), add_block(sums.c, a1, b0), add_block(sums.d, a1, b1));
      }
    }
    if (more) {
      columns[16u * ACROSS * (1u - buffer) + lane] = Staged(w);
      let at = 256u * (1u - buffer) + lane;
      rows[at] = Staged(v[0]);
      if (LOADS > 1u) { rows[at + 64u] = Staged(v[1]); rows[at + 128u] = Staged(v[2]); rows[at + 192u] = Staged(v[3]); }
    }
    workgroupBarrier();
  }
  store(group.z, r + down, f + across, sums.a);
  store(group.z, r + down, f + across + ACROSS, sums.b);
  store(group.z, r + down + 16u, f + across, sums.c);
  store(group.z, r + down + 16u, f + across + ACROSS, sums.d);
}
