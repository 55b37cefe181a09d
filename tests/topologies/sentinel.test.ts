import { describeOn } from '../support/on-topology.ts';

describeOn('sentinel');
