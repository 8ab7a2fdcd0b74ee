"""EC2's launch templates: a template's own tags are no part of what it launches, and they can change.

AWS keeps the tags of CreateLaunchTemplate with the template alone; moto puts them among its data's tag specifications
too. AWS answers a template's present tags with it; moto the first ones for ever.
"""

from typing import Any

from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateBackend


def tell_own_tags_apart() -> None:
    """Keep a template's tags out of its data, and answer the present ones."""
    create, describe = LaunchTemplateBackend.create_launch_template, LaunchTemplateBackend.describe_launch_templates

    def create_launch_template(
        self: LaunchTemplateBackend,
        name: str,
        description: str,
        template_data: dict[str, Any],
        tag_spec: dict[str, Any],
    ) -> LaunchTemplate:
        specifications = template_data.pop("TagSpecifications", [])
        launched = [one for one in specifications if one["ResourceType"] != "launch-template"]
        data = {**template_data, "TagSpecifications": launched} if launched else template_data
        return create(self, name, description, data, tag_spec)

    def describe_launch_templates(self: LaunchTemplateBackend, *arguments: Any, **options: Any) -> list[LaunchTemplate]:
        templates = describe(self, *arguments, **options)
        for template in templates:
            template.tags = template.get_tags()
        return templates

    LaunchTemplateBackend.create_launch_template = create_launch_template
    LaunchTemplateBackend.describe_launch_templates = describe_launch_templates
