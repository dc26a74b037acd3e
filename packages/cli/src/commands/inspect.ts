// n2n inspect MODEL|ARCH: layers, shapes, parameters, multiply-adds, bytes. Needs no device.
import { fixedLayers, type FixedLayer } from '@n2n/agent';
import {
  activationBytes,
  analyse,
  macs,
  modelBytes,
  parameterCount,
  parameterElements,
  specHash,
  type NetworkSpec,
  type Shape,
} from '@n2n/trainer/network';
import { z } from 'zod';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { bytes, count, magnitude } from '../output/format.js';
import { table } from '../output/table.js';
import { optionalInteger, toggle } from '../settings/kinds.js';
import type { Setting } from '../settings/setting.js';
import { data, images } from '../settings/settings.js';
import { openData } from '../sources/data.js';
import { checkFits, openNetwork, usualGeometry, type Geometry } from '../sources/network.js';

type ImageSize = Omit<Geometry, 'classes'>;

const input: Setting<ImageSize | undefined> = {
  flags: '--input <CxHxW>',
  about: 'channels x height x width that a zoo network is built for (default: what it is usually used with)',
  needs: 'channels, height and width, such as 1x28x28',
  schema: z
    .string()
    .regex(/^[1-9]\d{0,6}x[1-9]\d{0,6}x[1-9]\d{0,6}$/)
    .transform((text) => {
      const [channels = 0, height = 0, width = 0] = text.split('x').map(Number);
      return { channels, height, width };
    }),
  fallback: undefined,
  environment: false,
};
const classes = {
  ...optionalInteger({ flags: '--classes <n>', about: 'classes that a zoo network is built for' }, 1),
  environment: false as const,
};

const layersFixed = {
  ...toggle({ flags: '--layers-fixed', about: 'list what a search would leave alone in each layer, and why' }, false),
  environment: false as const,
};

export const inspectCommand = defineCommand({
  name: 'inspect',
  about: 'layers, shapes, parameters, multiply-adds and bytes of a network',
  arguments: [{ name: '<model|arch>', about: 'a .safetensors or .onnx model, a .json spec, or a zoo name such as resnet18@0.25' }],
  settings: { data, ...images, input, classes, layersFixed },
  async run(context, values, [name = '']) {
    if (values.data !== undefined && values.input !== undefined)
      throw new UsageError('--data and --input both say what the images are; give one of them');
    const dataset = values.data === undefined ? undefined : await openData(values.data, values);
    const usual = usualGeometry(name);
    const { spec, notes = [] } = await openNetwork(
      name,
      dataset ?? { ...usual, ...values.input, classes: values.classes ?? usual.classes },
    );
    for (const note of notes) context.output.note(note);
    if (dataset !== undefined) checkFits(spec, dataset);
    const document = describe(spec);
    if (!values.layersFixed) return context.output.result(document, () => readable(document));
    const fixed = fixedLayers(spec);
    context.output.result({ ...document, fixed: fixed.map(fixedDocument) }, () => `${readable(document)}\n${readableFixed(fixed)}`);
  },
});

const shapeText = (shape: Shape): string =>
  shape.kind === 'map' ? `${shape.channels}x${shape.height}x${shape.width}` : String(shape.features);

function describe(spec: NetworkSpec) {
  const layers = analyse(spec).nodes.map(({ node, outputShape, parameters, macs: nodeMacs }) => ({
    id: node.id,
    type: node.type,
    inputs: node.inputs,
    output: shapeText(outputShape),
    params: parameters.filter(({ role }) => role === 'trained').reduce((sum, declaration) => sum + parameterElements(declaration), 0),
    macs: nodeMacs,
  }));
  return {
    name: spec.name,
    input: spec.input,
    classes: spec.classes,
    hash: specHash(spec),
    params: parameterCount(spec),
    macs: macs(spec),
    modelBytes: modelBytes(spec),
    activationBytes: activationBytes(spec),
    layers,
  };
}

function readable(document: ReturnType<typeof describe>): string {
  const { channels, height, width } = document.input;
  const rows = document.layers.map(({ id, type, inputs, output, params, macs: nodeMacs }) => [
    id,
    type,
    inputs.join(' + '),
    output,
    params === 0 ? '' : count(params),
    nodeMacs === 0 ? '' : count(nodeMacs),
  ]);
  const columns = [
    { title: 'layer' },
    { title: 'type' },
    { title: 'of' },
    { title: 'output' },
    { title: 'parameters', align: 'right' },
    { title: 'MACs', align: 'right' },
  ] as const;
  const { params, macs: allMacs, modelBytes: size, activationBytes: peak } = document;
  return (
    `${document.name}: images of ${channels}x${height}x${width}, ${document.classes} classes\n\n${table(columns, rows)}\n` +
    `${count(params)} parameters, ${magnitude(allMacs)} MACs an image, ${bytes(size)} of tensors, ${bytes(peak)} of activations at batch 1\n`
  );
}

const fixedDocument = ({ id, removal, sizes }: FixedLayer) => ({ id, removal: removal ?? null, sizes });

/** Removal and width only: that a kernel of 1 cannot get smaller needs no saying. */
function readableFixed(fixed: readonly FixedLayer[]): string {
  const rows = fixed
    .map(({ id, type, removal = '', sizes, widthAttribute = '' }) => {
      const width = sizes[widthAttribute];
      return [id, type, removal, width === undefined ? '' : `its number of ${widthAttribute} ${width}`];
    })
    .filter(([, , removal, width]) => removal !== '' || width !== '');
  const columns = [{ title: 'layer' }, { title: 'type' }, { title: 'is not removed: it' }, { title: 'keeps its width:' }] as const;
  return `What a search leaves alone:\n\n${table(columns, rows)}\n`;
}
