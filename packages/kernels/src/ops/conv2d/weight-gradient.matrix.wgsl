// dweight[f, ky, kx, c] = sum over n, oy, ox of dy[n, oy, ox, f] x[n, oy sy + ky - top, ox sx + kx - left, c]
// x [N, H, W, C4], dy [N, OH, OW, F4], partial [splits, F4, KH, KW, C4], as vec4f along the last dimension. With one split,
// partial is dweight itself; otherwise sum-partials.wgsl adds the copies.
// An implicit matrix product on matrix units, filters x (taps, channels), over output pixels in steps of 32: operands are
// rounded to f16 on their way into workgroup memory; sums are f32.
// One workgroup: 128 x 128 over `steps_per_split` steps of one split (workgroup_id.z); one subgroup: 64 x 32 of them.
// Preconditions: subgroups of 32; 16 x 16 x 16 products of f16 into f32. Ragged edges are guarded.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

struct Shape {
  height: i32, width: i32, channels4: u32, filters4: u32, out_height: i32, out_width: i32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  pixels: u32, steps: u32, steps_per_split: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

// [pixel of the step, filter], [pixel of the step, (tap, channel)]: rows of f16 padded to 272 bytes, which keeps their loads
// off each other's banks.
var<workgroup> rows: array<f16, 4352>;
var<workgroup> columns: array<f16, 4352>;
var<workgroup> patches: array<f32, 2048>;

// Image, row and column of an output pixel.
fn position(pixel: u32) -> vec3i {
  let line = i32(pixel) / shape.out_width;
  return vec3i(line / shape.out_height, line % shape.out_height, i32(pixel) % shape.out_width);
}

// One step ahead.
fn advance(at: vec3i) -> vec3i {
  var next = at + vec3i(0, 0, 32);
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

fn load_gradient(pixel: u32, f: u32) -> vec4f {
  return select(vec4f(), dy[min(pixel, shape.pixels - 1u) * shape.filters4 + f], pixel < shape.pixels);
}

fn keep_row(at: u32, v: vec4f) {
  rows[at] = f16(v.x); rows[at + 1u] = f16(v.y); rows[at + 2u] = f16(v.z); rows[at + 3u] = f16(v.w);
}

fn keep_column(at: u32, v: vec4f) {
  columns[at] = f16(v.x); columns[at + 1u] = f16(v.y); columns[at + 2u] = f16(v.z); columns[at + 3u] = f16(v.w);
}

fn store(split: u32, f: u32, r: u32, sum: vec4f) {
  let row_length = shape.kernel_height * shape.kernel_width * shape.channels4;
  if (f < 4u * shape.filters4 && r < row_length) { partial[(split * 4u * shape.filters4 + f) * row_length + r] = sum; }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.filters4 + 31u) / 32u;
  let row_length = shape.kernel_height * shape.kernel_width * shape.channels4;
  let tile = group.y * groups.x + group.x;
  let r = tile / blocks * 32u;
  let f = tile % blocks * 128u;
  if (r >= row_length) { return; }
  let down = subgroup / 4u * 64u;
  let across = subgroup % 4u * 32u;
  // What this invocation loads: one vec4f of filters and one of (tap, channels), of 4 pixels 8 apart.
  let own = min(r + index % 32u, row_length - 1u);
  let spot = own / shape.channels4;
  let tap = vec3i(i32(spot / shape.kernel_width) - shape.top, i32(spot % shape.kernel_width) - shape.left, i32(own % shape.channels4));
  let filters = min(f / 4u + index % 32u, shape.filters4 - 1u);
  let start = group.z * shape.steps_per_split;
  let end = min(start + shape.steps_per_split, shape.steps);
  var pixel = 32u * start + index / 32u;
  var at: array<vec3i, 4>;
  var v: array<vec4f, 4>;
  var w: array<vec4f, 4>;
  for (var i = 0u; i < 4u; i++) {
    at[i] = position(pixel + 8u * i);
    v[i] = load_gradient(pixel + 8u * i, filters);
    w[i] = load(at[i], tap, pixel + 8u * i < shape.pixels);
  }
  var sums: array<Sum, 8>;
  for (var t = start; t < end; t++) {
    for (var i = 0u; i < 4u; i++) {
      keep_row((index / 32u + 8u * i) * 136u + index % 32u * 4u, v[i]);
      keep_column((index / 32u + 8u * i) * 136u + index % 32u * 4u, w[i]);
    }
    workgroupBarrier();
    if (t + 1u < end) {
      pixel += 32u;
      for (var i = 0u; i < 4u; i++) {
        at[i] = advance(at[i]);
        v[i] = load_gradient(pixel + 8u * i, filters);
        w[i] = load(at[i], tap, pixel + 8u * i < shape.pixels);
      }
    }
    for (var k = 0u; k < 32u; k += 16u) {
      let b0 = subgroupMatrixLoad<Right, row_major>(&columns, k * 136u + across, 136u);
      let b1 = subgroupMatrixLoad<Right, row_major>(&columns, k * 136u + across + 16u, 136u);
      for (var i = 0u; i < 4u; i++) {
        let a = subgroupMatrixLoad<Left, col_major>(&rows, k * 136u + down + 16u * i, 136u);
        sums[2u * i] = subgroupMatrixMultiplyAccumulate(a, b0, sums[2u * i]);
        sums[2u * i + 1u] = subgroupMatrixMultiplyAccumulate(a, b1, sums[2u * i + 1u]);
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 8u; i++) {
    subgroupMatrixStore<row_major>(&patches, 256u * subgroup, sums[i], 16u);
    workgroupBarrier();
    for (var h = lane; h < 64u; h += 32u) {
      let p = 256u * subgroup + 4u * h;
      store(group.z, f + down + 16u * (i / 2u) + h / 4u, r + across / 4u + 4u * (i % 2u) + h % 4u,
        vec4f(patches[p], patches[p + 1u], patches[p + 2u], patches[p + 3u]));
    }
    workgroupBarrier();
  }
}
