class Single:
    RETURN_TYPES, FUNCTION, CATEGORY = ("STRING",), "run", "fixture"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        return ("single",)


class WithoutFunction:
    RETURN_TYPES = ()

    @classmethod
    def INPUT_TYPES(cls):
        return {}


NODE_CLASS_MAPPINGS = {"Single": Single, "WithoutFunction": WithoutFunction, "EmptyImage": Single}
