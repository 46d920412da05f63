"""A Flask application in one file."""
import hashlib
import io

from flask import Flask, Response, jsonify, request, send_file, session

application = Flask(__name__)
application.secret_key = "only for tests"


@application.get("/page")
def page():
    return "<h1>Grüße, %s</h1>" % request.args.get("name", "?")


@application.get("/page/<name>")
def named(name):
    return name


@application.post("/json")
def json():
    numbers = request.get_json()["numbers"]
    return jsonify(sum=sum(numbers), text="é"), 201, {"X-Own": "yes"}


@application.post("/form")
def form():
    return request.form["text"]


@application.post("/upload")
def upload():
    file = request.files["file"]
    content = file.read()
    return {
        "name": file.filename,
        "type": file.mimetype,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "note": request.form["note"],
    }


@application.get("/stream")
def stream():
    return Response("line %d\n" % number for number in range(1000))


@application.get("/file")
def file():
    return send_file("data.bin", as_attachment=True, download_name="naïve.bin")


@application.get("/memory")
def memory():
    return send_file(io.BytesIO(b"from memory"), mimetype="text/plain")


@application.get("/count")
def count():
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@application.get("/fail")
def fail():
    raise ValueError("in a view")
