/** From dcmqrscp to the disc; from Orthanc: retrieval-orthanc.test.ts. */
import t from 'tap'
import { retrieves } from './retrieves.ts'

retrieves(t, 'dcmqrscp')
