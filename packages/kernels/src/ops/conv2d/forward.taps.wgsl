// y[n, oy, ox, f] = g(sum over ky, kx of x[n, oy sy + ky - top, ox sx + kx - left] weight[f, ky, kx]), for one channel, with
// g(s) = s factor[f] + term[f], behind it the ReLU if `relu`; then the largest of each 2x2 pixels if `side` is 2, not 1.
// x [N, H, W, 4] and weight [F4, KH, KW, 4], of which only the first of 4 words is read: a scalar load costs a quarter of a
// vec4f's. y [N, OH / side, OW / side, F4].
// `terms` [F4], behind it the factors: `has` says how many of the two there are; for 0 any buffer may stand in its place.
// One lane: a block of 2 x 4 output pixels, whose windows overlap: TAPS neighbouring taps of a kernel row take WINDOW words of
// x for a row of the block. One workgroup: one subgroup, SUBGROUP blocks x ROWS filters. Weights are loaded once a subgroup
// (lane = filter) and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is 8 or 16; STRIDE is the step, down and across. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const TAPS = 3u;
const STRIDE = 1u;
const WINDOW = 3u * STRIDE + TAPS;
const LOADS = (ROWS + SUBGROUP - 1u) / SUBGROUP;

struct Shape {
  height: i32, width: i32, filters4: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32, blocks: u32, has: u32,
  relu: u32, side: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> terms: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

// WINDOW words of row `iy` of the image that starts at row `image`, from `ix` on; zeros outside.
fn line(image: i32, iy: i32, ix: i32) -> array<f32, WINDOW> {
  let inside = iy >= 0 && iy < shape.height;
  let start = (image + iy) * shape.width;
  var words: array<f32, WINDOW>;
  for (var j = 0u; j < WINDOW; j++) {
    let at = ix + i32(j);
    let ok = inside && at >= 0 && at < shape.width;
    words[j] = select(0.0, x[u32(select(0, start + at, ok))].x, ok);
  }
  return words;
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

struct Epilogue { factor: vec4f, term: vec4f }

// The lane's block: of image n, from (row, column) on; `filters4` is 0 of a block that does not exist.
struct Block { n: u32, row: u32, column: u32, filters4: u32 }

// Filters 4 q to 4 q + 3 of the tile, which starts at vec4f `first4` of filters; `own` holds those of 4 filters in each lane.
fn store(block: Block, first4: u32, q: u32, above: ptr<function, array<vec4f, ROWS>>, below: ptr<function, array<vec4f, ROWS>>, own: Epilogue) {
  let factor = subgroupShuffle(own.factor, q);
  let term = subgroupShuffle(own.term, q);
  let f = first4 + q;
  if (f >= block.filters4) { return; }
  let a = transpose(mat4x4f((*above)[4u * q], (*above)[4u * q + 1u], (*above)[4u * q + 2u], (*above)[4u * q + 3u]));
  let b = transpose(mat4x4f((*below)[4u * q], (*below)[4u * q + 1u], (*below)[4u * q + 2u], (*below)[4u * q + 3u]));
  let grid = vec2u(shape.out_height, shape.out_width) / shape.side;
  let at = ((block.n * grid.x + block.row / shape.side) * grid.y + block.column / shape.side) * shape.filters4 + f;
  if (shape.side == 2u) {
    if (block.row / 2u >= grid.x) { return; }
    for (var j = 0u; j < 2u; j++) {
      let upper = larger(finish(a[2u * j], factor, term), finish(a[2u * j + 1u], factor, term));
      let lower = larger(finish(b[2u * j], factor, term), finish(b[2u * j + 1u], factor, term));
      if (block.column / 2u + j < grid.y) { y[at + j * shape.filters4] = larger(upper, lower); }
    }
    return;
  }
  for (var j = 0u; j < 4u; j++) {
    if (block.column + j >= grid.y) { return; }
    y[at + j * shape.filters4] = finish(a[j], factor, term);
    if (block.row + 1u < grid.x) { y[at + (grid.y + j) * shape.filters4] = finish(b[j], factor, term); }
  }
}

fn strip(words: array<f32, WINDOW>, t: u32) -> vec4f {
  return vec4f(words[t], words[t + STRIDE], words[t + 2u * STRIDE], words[t + 3u * STRIDE]);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let tiles = (shape.filters4 * 4u + ROWS - 1u) / ROWS;
  let tile = group.y * groups.x + group.x;
  let first = tile % tiles * ROWS;
  let own = tile / tiles * SUBGROUP + lane;
  let block = min(own, shape.blocks - 1u);
  let across = (shape.out_width + 3u) / 4u;
  let down = (shape.out_height + 1u) / 2u;
  let n = block / (across * down);
  let row = 2u * (block / across % down);
  let column = 4u * (block % across);
  let image = i32(n) * shape.height;
  let corner_y = i32(row * STRIDE) - shape.top;
  let corner_x = i32(column * STRIDE) - shape.left;
  let last = shape.filters4 * 4u - 1u;
  var filters: array<u32, LOADS>;
  for (var i = 0u; i < LOADS; i++) {
    filters[i] = min(first + i * SUBGROUP + lane, last) * shape.kernel_height * shape.kernel_width;
  }
  var above: array<vec4f, ROWS>;
  var below: array<vec4f, ROWS>;
  for (var kx = 0u; kx < shape.kernel_width; kx += TAPS) {
    // With a step of 1 the row of x that the lower pixels see is what the upper ones see next.
    var lower: array<f32, WINDOW>;
    if (STRIDE == 1u) { lower = line(image, corner_y, corner_x + i32(kx)); }
    for (var ky = 0u; ky < shape.kernel_height; ky++) {
      var upper = lower;
      if (STRIDE != 1u) { upper = line(image, corner_y + i32(ky), corner_x + i32(kx)); }
      lower = line(image, corner_y + i32(ky + STRIDE), corner_x + i32(kx));
      var w: array<array<f32, LOADS>, TAPS>;
      for (var t = 0u; t < TAPS; t++) {
        // The last taps of a kernel row may reach beyond it.
        let at = ky * shape.kernel_width + min(kx + t, shape.kernel_width - 1u);
        for (var i = 0u; i < LOADS; i++) { w[t][i] = select(0.0, weight[filters[i] + at].x, kx + t < shape.kernel_width); }
      }
      for (var r = 0u; r < ROWS; r++) {
        for (var t = 0u; t < TAPS; t++) {
          let factor = subgroupShuffle(w[t][r / SUBGROUP], r % SUBGROUP);
          above[r] += factor * strip(upper, t);
          below[r] += factor * strip(lower, t);
        }
      }
    }
  }
  let mine = min(first / 4u + lane, shape.filters4 - 1u);
  var epilogue = Epilogue(vec4f(1.0), vec4f());
  if (shape.has > 0u) { epilogue.term = terms[mine]; }
  if (shape.has > 1u) { epilogue.factor = terms[shape.filters4 + mine]; }
  let own_block = Block(n, row, column, select(0u, shape.filters4, own < shape.blocks));
  // Written out: a loop so long is not unrolled, and then the sums would be gathered from memory.
  store(own_block, first / 4u, 0u, &above, &below, epilogue);
  store(own_block, first / 4u, 1u, &above, &below, epilogue);
  if (ROWS > 8u) {
    store(own_block, first / 4u, 2u, &above, &below, epilogue);
    store(own_block, first / 4u, 3u, &above, &below, epilogue);
  }
}
