// Made by scripts/types.mjs from the server's /openapi.json; not edited by hand.
export interface paths {
    "/api/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * jobs by ``state`` (several with commas) and ``search``, a page of ``limit`` from ``offset``.
         * @description Needs a token of any role.
         */
        get: operations["get_api_jobs"];
        put?: never;
        /**
         * make a job; all of its outputs have to be able to run, unless ``partial`` is true.
         * @description Needs the role submit.
         */
        post: operations["post_api_jobs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/{job_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * a job; with ``wait`` when it has ended; its picture for ``Accept: image/png``.
         * @description Needs a token of any role.
         */
        get: operations["get_api_jobs_job_id"];
        put?: never;
        post?: never;
        /**
         * forget an ended job; its pictures stay. 409 if it has not ended.
         * @description Needs the role submit.
         */
        delete: operations["delete_api_jobs_job_id"];
        options?: never;
        head?: never;
        /**
         * give a waiting job another place. 409 if it does not wait.
         * @description Needs the role admin.
         */
        patch: operations["patch_api_jobs_job_id"];
        trace?: never;
    };
    "/api/jobs/{job_id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * stop a job; a running one stops at its next step. 409 if it has ended.
         * @description Needs the role submit.
         */
        post: operations["post_api_jobs_job_id_cancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/{job_id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * run an ended job's workflow again, as a new job.
         * @description Needs the role submit.
         */
        post: operations["post_api_jobs_job_id_retry"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/queue/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * let what runs end and start nothing more.
         * @description Needs the role admin.
         */
        post: operations["post_api_queue_pause"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/queue/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * start jobs again.
         * @description Needs the role admin.
         */
        post: operations["post_api_queue_resume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/predict": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * what would become of each node of a workflow if it ran now; nothing is run or queued.
         * @description Needs the role submit.
         */
        post: operations["post_api_predict"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/gallery": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * files by words of ``prompt`` and ``model``, ``seed``, and date (``after``, ``before``).
         * @description Needs a token of any role.
         */
        get: operations["get_api_gallery"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/gallery/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * one file.
         * @description Needs a token of any role.
         */
        get: operations["get_api_gallery_id"];
        put?: never;
        post?: never;
        /**
         * move a file to the trash folder; one that is there already goes for good.
         * @description Needs the role submit.
         */
        delete: operations["delete_api_gallery_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/gallery/{id}/restore": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * move a file back from the trash folder. 409 if it is not there.
         * @description Needs the role submit.
         */
        post: operations["post_api_gallery_id_restore"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/{folder}/{filename}/info": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * what a model file is, its licence, intended use, limits and training.
         * @description Needs a token of any role.
         */
        get: operations["get_api_models_folder_filename_info"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/workflows/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * the workflow in a picture, in a file of either form, or in A1111's text.
         * @description Needs the role submit.
         */
        post: operations["post_api_workflows_import"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * ErrorBody
         * @description Every refusal; ``node_errors`` has the problems of a workflow by node.
         */
        ErrorBody: {
            error: components["schemas"]["ErrorInfo"];
            node_errors: {
                [key: string]: unknown;
            };
        };
        /**
         * ErrorInfo
         * @description What went wrong: a type for programs, a message for people; ``extra_info.problems`` lists faults.
         */
        ErrorInfo: {
            type: string;
            message: string;
            details: string;
            extra_info: {
                [key: string]: unknown;
            };
        };
        /**
         * Fault
         * @description What is wrong, and with what: of a workflow that was refused, or of a job that failed.
         *
         *         allowed, minimum, maximum: what would do; nearest: the allowed value that was probably meant.
         */
        Fault: {
            type: string;
            message: string;
            node?: string | null;
            class_type?: string | null;
            input?: string | null;
            allowed?: unknown[] | null;
            minimum?: number | null;
            maximum?: number | null;
            nearest?: string | null;
            traceback?: string[];
        };
        /**
         * Imported
         * @description A workflow out of a file or a text, in both forms; ``source`` says in which it was found.
         */
        Imported: {
            source: string;
            prompt: {
                [key: string]: unknown;
            };
            workflow: {
                [key: string]: unknown;
            };
        };
        /**
         * Item
         * @description A file that a job made. ``trashed`` is when it was deleted; ``missing``: somebody took it away by hand.
         */
        Item: {
            id: number;
            filename: string;
            subfolder: string;
            url: string;
            thumbnail: string;
            job: string;
            created: number;
            prompt: string;
            model: string;
            seeds: number[];
            trashed?: number | null;
            missing?: boolean;
        };
        /**
         * Items
         * @description A page of files, newest first.
         */
        Items: {
            items: components["schemas"]["Item"][];
            total: number;
            offset: number;
            limit: number;
        };
        /**
         * JobList
         * @description A page of jobs: those that run, then those that wait in their order, then the ended ones, newest first.
         *
         *         at_once: how many jobs a worker carries out at once; 0 while none is ready.
         */
        JobList: {
            jobs: components["schemas"]["JobView"][];
            total: number;
            offset: number;
            limit: number;
            paused: boolean;
            at_once: number;
        };
        /**
         * JobView
         * @description A job. Times are seconds since the epoch; ``position`` is 1 for the job that runs next.
         *
         *         ``peak_memory`` is the bytes it took at most, of the accelerator or of the worker on the CPU.
         *
         *         ``nodes`` and ``run``, what the pictures depend on besides the graph, are left out of lists. ``progress`` goes from
         *         0 to 1.
         */
        JobView: {
            id: string;
            /** @enum {unknown} */
            state: "cancelled" | "failed" | "queued" | "running" | "succeeded";
            number: number;
            created: number;
            started: number | null;
            ended: number | null;
            position: number | null;
            progress: number;
            deaths: number;
            peak_memory: number | null;
            client_id: string | null;
            outputs: components["schemas"]["OutputView"][];
            errors: components["schemas"]["Fault"][];
            nodes?: components["schemas"]["NodeView"][];
            run?: components["schemas"]["RunRecord"] | null;
            workflow?: {
                [key: string]: unknown;
            };
        };
        /**
         * ModelInfo
         * @description What is known of a model file: what it is, by its tensors' names and shapes, and what its card says.
         *
         *         families: several where no shape tells them apart. cards: one for each family that was published.
         */
        ModelInfo: {
            folder: string;
            file: string;
            bytes: number;
            kind: string;
            tensors: number;
            parameters: number;
            families: string[];
            cards: {
                [key: string]: unknown;
            }[];
            note: string;
        };
        /**
         * MoveBody
         * @description Where a waiting job is to stand: at a position (1 is next), or at a priority.
         */
        MoveBody: {
            position?: number | null;
            number?: number | null;
        };
        /**
         * NewJobBody
         * @description A job to be made.
         *
         *         workflow: in the API form or the editor's. set: inputs to change, as ``{"6.text": "a red cube"}``.
         *         number: priority, lowest first; front: before all others. targets: ids of the output nodes to deliver.
         *         webhook: an address that is told of the job's end.
         *         partial: run the outputs that can run though others cannot. extra_data: as in ``POST /prompt``.
         */
        NewJobBody: {
            workflow: {
                [key: string]: unknown;
            };
            id?: string | null;
            client_id?: string | null;
            number?: number | null;
            front?: boolean;
            targets?: string[] | null;
            partial?: boolean;
            set?: {
                [key: string]: unknown;
            } | null;
            extra_data?: {
                [key: string]: unknown;
            } | null;
            webhook?: string | null;
        };
        /**
         * NodeView
         * @description A node of a job: what became of it, why it ran, how long it took (seconds) and how far it is.
         *
         *         cause: of a node that ran ``new``, ``input`` (``inputs`` have changed), ``world``, ``file``, ``evicted`` or
         *         ``remade``; of one that was reused where from: ``memory``, ``disk``, ``trace`` or ``equal``.
         *         memory: of a node that ran a network, the ``plan`` it worked by, the ``need`` and ``budget`` in bytes, and
         *         ``relief``: what was done where memory ran out.
         */
        NodeView: {
            node: string;
            display: string;
            /** @enum {string} */
            state: "running" | "ran" | "reused" | "failed";
            class_type?: string;
            why?: string;
            seconds?: number;
            value?: number | null;
            max?: number | null;
            cause?: string;
            inputs?: string[];
            memory?: {
                [key: string]: unknown;
            };
        };
        /**
         * OutputView
         * @description Something an output node made: a file with its address, or a text.
         */
        OutputView: {
            node: string;
            kind: string;
            filename?: string | null;
            subfolder?: string | null;
            type?: string | null;
            url?: string | null;
            text?: string | null;
            flagged?: boolean | null;
        };
        /**
         * Paused
         * @description Whether the queue is paused.
         */
        Paused: {
            paused: boolean;
        };
        /**
         * PredictedNode
         * @description What would become of a node: ``reused``, ``runs``, or ``depends`` on what the nodes make that run.
         *
         *         cause, inputs: as of the nodes of a job.
         */
        PredictedNode: {
            node: string;
            /** @enum {string} */
            state: "reused" | "runs" | "depends";
            cause?: string;
            why?: string;
            inputs?: string[];
        };
        /**
         * PredictionView
         * @description What would become of a workflow's nodes if it ran now, and how many of each there are.
         */
        PredictionView: {
            reused: number;
            runs: number;
            depends: number;
            nodes: components["schemas"]["PredictedNode"][];
        };
        /**
         * RunRecord
         * @description versions by program; plan: number types and limits; seeds by ``node.input``; the weights that the graph names.
         *
         *         memory: how each node that ran a network in this job used memory, in the words of ``--plan``.
         */
        RunRecord: {
            versions: {
                [key: string]: string;
            };
            device: string;
            plan: {
                [key: string]: string | number | boolean | null;
            };
            seeds?: {
                [key: string]: number;
            };
            weights?: components["schemas"]["WeightFile"][];
            memory?: {
                [key: string]: {
                    [key: string]: string | number;
                };
            };
        };
        /**
         * WeightFile
         * @description A file of weights that a job names. ``sha256`` is empty where it was not known yet when the job ended.
         */
        WeightFile: {
            folder: string;
            name: string;
            size: number;
            sha256?: string;
        };
    };
    responses: {
        /** @description refused */
        Refused: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    get_api_jobs: {
        parameters: {
            query?: {
                /** @description with commas between: queued, running, succeeded, failed, cancelled */
                state?: string;
                /** @description a text in the workflow */
                search?: string;
                limit?: number;
                offset?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobList"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    post_api_jobs: {
        parameters: {
            query?: {
                /** @description seconds to wait for the job's end */
                wait?: number;
            };
            header?: {
                /** @description a request that is sent twice with one key makes one job */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewJobBody"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                    "image/png": string;
                    "image/webp": string;
                    "image/jpeg": string;
                };
            };
            /** @description made */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            /** @description not ended yet */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    get_api_jobs_job_id: {
        parameters: {
            query?: {
                /** @description seconds to wait for the job's end */
                wait?: number;
            };
            header?: never;
            path: {
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                    "image/png": string;
                    "image/webp": string;
                    "image/jpeg": string;
                };
            };
            /** @description not ended yet */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    delete_api_jobs_job_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    patch_api_jobs_job_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                job_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MoveBody"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    post_api_jobs_job_id_cancel: {
        parameters: {
            query?: {
                /** @description seconds to wait for the job's end */
                wait?: number;
            };
            header?: never;
            path: {
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                    "image/png": string;
                    "image/webp": string;
                    "image/jpeg": string;
                };
            };
            /** @description not ended yet */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    post_api_jobs_job_id_retry: {
        parameters: {
            query?: {
                /** @description seconds to wait for the job's end */
                wait?: number;
            };
            header?: {
                /** @description a request that is sent twice with one key makes one job */
                "Idempotency-Key"?: string;
            };
            path: {
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                    "image/png": string;
                    "image/webp": string;
                    "image/jpeg": string;
                };
            };
            /** @description made */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            /** @description not ended yet */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    post_api_queue_pause: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Paused"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    post_api_queue_resume: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Paused"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    post_api_predict: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewJobBody"];
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PredictionView"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    get_api_gallery: {
        parameters: {
            query?: {
                /** @description words in the texts of the graph */
                prompt?: string;
                /** @description words in the names of its models */
                model?: string;
                seed?: number;
                /** @description a date like 2026-11-21, or seconds since the epoch */
                after?: string;
                /** @description a date like 2026-11-21, or seconds since the epoch */
                before?: string;
                /** @description the deleted ones */
                trash?: boolean;
                limit?: number;
                offset?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Items"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    get_api_gallery_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Item"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    delete_api_gallery_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    post_api_gallery_id_restore: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Item"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    get_api_models_folder_filename_info: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                folder: string;
                filename: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelInfo"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
    post_api_workflows_import: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/octet-stream": string;
            };
        };
        responses: {
            /** @description done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Imported"];
                };
            };
            "4XX": components["responses"]["Refused"];
            "5XX": components["responses"]["Refused"];
        };
    };
}
