// Runs ci/Jenkinsfile as pipeline-model-definition would: groovy jenkins.groovy JENKINSFILE CAUSE, in a checkout and with
// the environment of a build. It knows the sections and conditions that the file uses, and fails on any other.
// `sh` runs for real, with bash; what Jenkins itself would do is told as `STAGE: WORDS`, and in the end `result: RESULT`.
file = new File(args[0])
cause = args[1]
environment = new TreeMap(System.getenv())
result = 'SUCCESS'
stage = ''

class Failed extends Exception {
    Failed(String message) { super(message) }
}

say = { String words -> println "${stage}: ${words}"; System.out.flush() }

// Evaluates a closure with the named functions, and no others.
with = { Map functions, Closure body ->
    body = body.rehydrate(new Expando(functions), null, body.thisObject)
    body.resolveStrategy = Closure.DELEGATE_ONLY
    body()
}

env = environment
params = environment.containsKey('PARAM_image_tag') ? [image_tag: environment.PARAM_image_tag] : [:]

run = { String command, boolean output ->
    def builder = new ProcessBuilder('bash', '-e', '-c', command)
    builder.environment().clear()
    builder.environment().putAll(environment + [STAGE_NAME: stage])
    builder.redirectError(ProcessBuilder.Redirect.INHERIT)
    if (!output) { builder.redirectOutput(ProcessBuilder.Redirect.INHERIT) }
    def process = builder.start()
    def text = output ? process.inputStream.text : ''
    if (process.waitFor()) { throw new Failed("script returned exit code ${process.exitValue()}") }
    text
}

conditions = { Closure body -> // a list of what each condition says, as closures: evaluated in order, up to the first that decides
    def found = []
    def globs = { String pattern, String value -> value != null && value ==~ pattern.replace('.', '\\.').replace('*', '[^/]*') }
    def functions = [
        not: { Closure inner -> found << { !conditions(inner).every { it() } } },
        anyOf: { Closure inner -> found << { conditions(inner).any { it() } } },
        allOf: { Closure inner -> found << { conditions(inner).every { it() } } },
        branch: { String pattern -> found << { globs(pattern, environment.BRANCH_NAME) } },
        tag: { Map given ->
            assert given.comparator == 'REGEXP'
            found << { environment.TAG_NAME != null && environment.TAG_NAME ==~ given.pattern }
        },
        changeRequest: { -> found << { environment.CHANGE_ID != null } },
        triggeredBy: { String name -> found << { cause == name } },
        expression: { Closure inner -> found << { with([sh: { Map given -> run(given.script, given.returnStdout) }, env: env], inner) } },
    ]
    with(functions, body)
    found
}

steps = null
steps = [
    sh: { String command -> run(command, false) },
    archiveArtifacts: { Map given ->
        def top = new File(given.artifacts.replace('/**', ''))
        def files = top.isDirectory() ? top.listFiles()*.name.sort() : top.exists() ? [top.name] : []
        if (!files && !given.allowEmptyArchive) { throw new Failed("No artifacts found that match ${given.artifacts}") }
        if (files) { say("archived ${files.join(' ')}") }
    },
    junit: { Map given ->
        def exists = new File(given.testResults).exists()
        if (!exists && !given.allowEmptyResults) { throw new Failed('No test report files were found') }
    },
    sarif: { Map given -> given },
    recordIssues: { Map given -> },
    usernamePassword: { Map given -> [(given.usernameVariable): "user-of-${given.credentialsId}".toString(), (given.passwordVariable): 's3cret'] },
    string: { Map given -> [(given.variable): 's3cret'] },
    file: { Map given ->
        def secret = File.createTempFile('secret', '')
        secret.text = "s3cret"
        [(given.variable): secret.path]
    },
    withCredentials: { List given, Closure body ->
        def bound = given.inject([:]) { all, one -> all + one }
        def before = new TreeMap(environment)
        environment.putAll(bound)
        try { with(steps, body) } finally { environment = before }
    },
    catchError: { Map given, Closure body ->
        try { with(steps, body) } catch (Failed failure) {
            result = given.buildResult
            say("${given.stageResult}: ${given.message}")
        }
    },
]

stages = { Closure body ->
    with([stage: { String name, Closure inner ->
        def sections = [:]
        with([when: { Closure c -> sections.when = c }, steps: { Closure c -> sections.steps = c }, post: { Closure c -> sections.post = c }], inner)
        stage = name
        if (sections.when && !conditions(sections.when).every { it() }) { return }
        if (result == 'FAILURE') { return }
        say('runs')
        try { with(steps, sections.steps) } catch (Failed failure) {
            result = 'FAILURE'
            say("FAILURE: ${failure.message}")
        }
        if (sections.post) { with([always: { Closure c -> with(steps, c) }], sections.post) }
    }], body)
}

timer = ''
shell = new GroovyShell(new Binding([env: env, params: params, pipeline: { Closure body ->
    with([
        agent: { Closure c -> with([label: { String name -> }], c) },
        options: { Closure c -> with([disableConcurrentBuilds: { -> }, timeout: { Map m -> }, buildDiscarder: { m -> }, logRotator: { Map m -> m }], c) },
        parameters: { Closure c -> with([string: { Map m -> }], c) },
        triggers: { Closure c -> with([cron: { String spec -> timer = spec }, env: env], c) },
        environment: { Closure c ->
            def given = new Expando([params: params])
            def set = c.rehydrate(given, null, c.thisObject)
            set.resolveStrategy = Closure.DELEGATE_ONLY
            set()
            environment.IMAGE_TAG = given.IMAGE_TAG.toString()
        },
        stages: stages,
    ], body)
}]))
shell.evaluate(file)
stage = 'result'
say(result)
stage = 'timer'
say(timer)
